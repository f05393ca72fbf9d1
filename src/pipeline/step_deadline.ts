/** Before anything was measured, and at most: a first step may compile its shaders. */
const LONGEST_MS = 180_000;
const SHORTEST_MS = 10_000;
/** A step this many times slower than the slowest of late is lost. */
const MARGIN = 20;
/** Steps that are remembered: the one that compiled the shaders is not for ever. */
const NUM_STEPS = 64;

interface PastStep {
  readonly elapsedMs: number;
  readonly numTokens: number;
}

/** How long a step may take, from what the steps before it took. */
export class StepDeadline {
  /** Oldest first. */
  readonly #past: PastStep[] = [];

  /** Takes in a step that came back. */
  record(step: PastStep): void {
    this.#past.push(step);
    if (this.#past.length > NUM_STEPS) this.#past.shift();
  }

  /** Milliseconds for a step of `numTokens`, those in flight before it included. */
  limitMs(numTokens: number): number {
    if (this.#past.length === 0) return LONGEST_MS;
    const slowestMs = Math.max(...this.#past.map(({ elapsedMs }) => elapsedMs));
    const mostTokens = Math.max(...this.#past.map((step) => step.numTokens));
    const expectedMs = slowestMs * Math.max(1, numTokens / mostTokens);
    return Math.min(LONGEST_MS, Math.max(SHORTEST_MS, MARGIN * expectedMs));
  }
}
