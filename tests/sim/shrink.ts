import type { WorldPlan } from "./plan.ts";

/** What of a plan is run: indices into its lists. */
export interface Kept {
  readonly faults: readonly number[];
  readonly requests: readonly number[];
  readonly peers: readonly number[];
}

/** In this order: few faults tell more than few peers. */
const PARTS = ["faults", "requests", "peers"] as const;

/** All of it. */
export function keepAll(plan: WorldPlan): Kept {
  const indices = (list: readonly unknown[]) => list.map((_, i) => i);
  return {
    faults: indices(plan.faults),
    requests: indices(plan.requests),
    peers: indices(plan.peers),
  };
}

/** The plan with what is kept of it. */
export function restrict(plan: WorldPlan, { faults, requests, peers }: Kept): WorldPlan {
  const among = <T>(list: readonly T[], indices: readonly number[]) =>
    indices.flatMap((i) => list[i] === undefined ? [] : [list[i]!]);
  return {
    ...plan,
    faults: among(plan.faults, faults),
    requests: among(plan.requests, requests),
    peers: among(plan.peers, peers),
  };
}

/**
 * The least of a failing plan that still fails in the same way: halves are left out first, then
 * ever smaller parts, then single ones.
 */
export async function shrink(
  plan: WorldPlan,
  { fails, maxRuns }: {
    readonly fails: (plan: WorldPlan) => Promise<boolean>;
    readonly maxRuns: number;
  },
): Promise<Kept> {
  let kept = keepAll(plan);
  let numRuns = 0;
  for (const part of PARTS) {
    for (let size = Math.ceil(kept[part].length / 2); size >= 1; size = Math.floor(size / 2)) {
      for (let start = 0; start < kept[part].length && numRuns < maxRuns;) {
        const fewer = kept[part].toSpliced(start, size);
        // A run without requests or peers fails for no reason of its own.
        const isWorthTrying = fewer.length > 0 || part === "faults";
        if (isWorthTrying) numRuns++;
        if (isWorthTrying && await fails(restrict(plan, { ...kept, [part]: fewer }))) {
          kept = { ...kept, [part]: fewer };
        } else {
          start += size;
        }
      }
    }
  }
  return kept;
}
