import type { Clock } from "../../src/platform/platform.ts";
import type { Kernel, SimEvent } from "./kernel.ts";

/** One computer: what happens on it happens through its clock and its links. */
export class SimNode implements Clock {
  readonly name: string;
  readonly kernel: Kernel;
  #state: "awake" | "asleep" | "dead" = "awake";
  /** What would have happened while it slept. */
  #held: SimEvent[] = [];

  constructor(name: string, kernel: Kernel) {
    this.name = name;
    this.kernel = kernel;
  }

  get isAwake(): boolean {
    return this.#state === "awake";
  }

  get isDead(): boolean {
    return this.#state === "dead";
  }

  now(): number {
    return this.kernel.nowMs;
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        this.kernel.cancel(event);
        reject(signal?.reason);
      };
      const event = this.kernel.schedule(delayMs, this, () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      });
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** The lid is shut: nothing happens until `wake`, when the clock has jumped. */
  fallAsleep(): void {
    if (this.#state === "awake") this.#state = "asleep";
  }

  /** All that was due meanwhile happens now. */
  wake(): void {
    if (this.#state !== "asleep") return;
    this.#state = "awake";
    for (const event of this.#held.splice(0)) this.kernel.resume(event);
  }

  /** Nothing happens here any more. */
  die(): void {
    this.#state = "dead";
    this.#held.length = 0;
  }

  /** Whether an event can happen now; one that cannot is kept, or gone for ever. */
  takes(event: SimEvent): boolean {
    if (this.#state === "awake") return true;
    if (this.#state === "asleep") this.#held.push(event);
    return false;
  }
}
