import { type FaultKind, STEP_FAULTS } from "./fault_kinds.ts";
import { NET_FAULTS } from "./net_faults.ts";
import { PEER_FAULTS } from "./peer_faults.ts";
import type { FaultPlan } from "./plan.ts";
import { SimRng } from "./rng.ts";
import type { World } from "./world.ts";

/** A fault while it lasts. */
export interface FaultCall {
  readonly world: World;
  readonly fault: FaultPlan;
  /** Of this fault alone. */
  readonly rng: SimRng;
  /** Does something later; all that is outstanding is done when the calm begins. */
  readonly later: (delayMs: number, run: () => void) => void;
  /** One of those that it may hit, or null. */
  readonly pick: <T>(values: readonly T[]) => T | null;
}

/** Makes a fault happen. False when there was nothing that it could hit. */
export type FaultEffect = (call: FaultCall) => boolean;

const RETRIED: ReadonlySet<FaultKind> = new Set(["stale-frame", "duplicate", "frame-lost"]);
const RETRY_MS = 50;

/** What goes wrong, and what is put right again. */
export class Faults {
  /** A step was made to fail: requests may end with an error. */
  hasBrokenSteps = false;
  numFired = 0;
  readonly #world: World;
  readonly #outstanding = new Set<() => void>();

  constructor(world: World) {
    this.#world = world;
  }

  fire(fault: FaultPlan): void {
    const world = this.#world;
    if (world.isCalm) return;
    const effect = PEER_FAULTS[fault.kind] ?? NET_FAULTS[fault.kind];
    if (effect === undefined) throw new Error(`Nothing makes "${fault.kind}" happen`);
    const rng = new SimRng(fault.target, `fault ${world.plan.seed}`);
    const hasFired = effect({
      ...{ world, fault, rng },
      later: (delayMs, run) => this.#later(delayMs, run),
      pick: (values) => values.length === 0 ? null : values[fault.target % values.length]!,
    });
    // What needs a past to happen waits until there is one.
    if (!hasFired && RETRIED.has(fault.kind)) this.#later(RETRY_MS, () => this.fire(fault));
    if (!hasFired) return;
    this.numFired++;
    if (STEP_FAULTS.has(fault.kind)) this.hasBrokenSteps = true;
    world.reach.count(`fault: ${fault.kind}`);
    world.kernel.note(`Fault: ${fault.kind} for ${Math.round(fault.durationMs)} ms`);
  }

  /** Everything that was to end later ends now. */
  endAll(): void {
    for (const end of [...this.#outstanding]) end();
  }

  #later(delayMs: number, run: () => void): void {
    const { kernel } = this.#world;
    const end = () => {
      if (!this.#outstanding.delete(end)) return;
      kernel.cancel(event);
      run();
    };
    const event = kernel.schedule(delayMs, null, end);
    this.#outstanding.add(end);
  }
}
