/** What the matcher makes of one more piece of text. */
export interface StopMatch {
  /** Text that can be shown now: it cannot become part of a stop string any more. */
  readonly text: string;
  /** The stop string that is complete, or null. */
  readonly stop: string | null;
}

interface Pattern {
  readonly stop: string;
  /** KMP: how long a border `stop[0, i]` has, so where to go on after a mismatch. */
  readonly borders: Int32Array;
  /** How much of `stop` the text so far ends with. */
  matched: number;
}

/**
 * Finds stop strings in a text that arrives in pieces. The one that is complete first counts; the
 * longest of several that are complete at the same place. The result does not depend on how the
 * text was cut.
 */
export class StopMatcher {
  readonly #patterns: readonly Pattern[];
  readonly #includesStop: boolean;
  #held = "";

  /** Empty stop strings are ignored. `includesStop` keeps the stop string in the text. */
  constructor(stops: readonly string[], includesStop: boolean) {
    this.#patterns = stops.map((stop) => stop.toWellFormed()).filter((stop) => stop !== "")
      .map((stop) => ({ stop, borders: findBorders(stop), matched: 0 }));
    this.#includesStop = includesStop;
  }

  /** Takes more text. After a stop the matcher is done. */
  push(text: string): StopMatch {
    const pending = this.#held + text;
    if (this.#patterns.length === 0) return { text: pending, stop: null };
    for (let end = this.#held.length + 1; end <= pending.length; end++) {
      const unit = pending.charCodeAt(end - 1);
      let stop: string | null = null;
      for (const pattern of this.#patterns) {
        if (!advance(pattern, unit)) continue;
        if (stop === null || pattern.stop.length > stop.length) stop = pattern.stop;
      }
      if (stop === null) continue;
      this.#held = "";
      return { text: pending.slice(0, this.#includesStop ? end : end - stop.length), stop };
    }
    const numHeld = Math.max(...this.#patterns.map((pattern) => pattern.matched));
    this.#held = pending.slice(pending.length - numHeld);
    return { text: pending.slice(0, pending.length - numHeld), stop: null };
  }

  /** The text still held, when no more will come. */
  flush(): string {
    const held = this.#held;
    this.#held = "";
    return held;
  }
}

function findBorders(stop: string): Int32Array {
  const borders = new Int32Array(stop.length);
  for (let i = 1, border = 0; i < stop.length; i++) {
    while (border > 0 && stop[i] !== stop[border]) border = borders[border - 1]!;
    if (stop[i] === stop[border]) border++;
    borders[i] = border;
  }
  return borders;
}

/** Follows one UTF-16 unit; true when the pattern is complete. */
function advance(pattern: Pattern, unit: number): boolean {
  const { stop, borders } = pattern;
  let { matched } = pattern;
  while (matched > 0 && stop.charCodeAt(matched) !== unit) matched = borders[matched - 1]!;
  if (stop.charCodeAt(matched) === unit) matched++;
  pattern.matched = matched;
  return matched === stop.length;
}
