/** What a number must be; in the unit of its measure. */
export type Goal = { readonly atMost: number } | { readonly atLeast: number };

/** The goal as text and whether `value` meets it, for a line of a report. A NaN meets none. */
export function compareWithGoal(
  value: number,
  goal: Goal,
): { readonly goal: string; readonly ok: boolean } {
  return "atMost" in goal
    ? { goal: `<= ${goal.atMost}`, ok: value <= goal.atMost }
    : { goal: `>= ${goal.atLeast}`, ok: value >= goal.atLeast };
}
