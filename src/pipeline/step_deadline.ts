/** Before anything was measured: a first step may compile its shaders. */
const FIRST_MS = 180_000;
const SHORTEST_MS = 10_000;
/** A step this many times slower than the slowest so far is lost. */
const MARGIN = 20;

/** How long a step may take, from what the steps before it took. */
export class StepDeadline {
  #slowestMsPerToken: number | null = null;

  /** Takes in a step that came back. */
  record({ elapsedMs, numTokens }: { readonly elapsedMs: number; readonly numTokens: number }) {
    const msPerToken = elapsedMs / numTokens;
    this.#slowestMsPerToken = Math.max(this.#slowestMsPerToken ?? 0, msPerToken);
  }

  /** Milliseconds for a step of `numTokens`, with `numAhead` tokens in flight before it. */
  limitMs(numTokens: number, numAhead: number): number {
    if (this.#slowestMsPerToken === null) return FIRST_MS;
    return Math.max(SHORTEST_MS, MARGIN * this.#slowestMsPerToken * (numTokens + numAhead));
  }
}
