import type { Clock } from "../platform/platform.ts";
import type { ClusterState } from "./status.ts";

/** How a cluster is, for those who watch it. */
export class Condition {
  readonly #clock: Clock;
  readonly #listeners = new Set<() => void>();
  #state: ClusterState = "waiting";
  #note: string | null = "No peer has joined yet";
  #missingBytes = 0;
  /** Since when there has been no pipeline; null while there is one. */
  #downSinceMs: number | null;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#downSinceMs = clock.now();
  }

  get state(): ClusterState {
    return this.#state;
  }

  /** What is missing or wrong, for people. */
  get note(): string | null {
    return this.#note;
  }

  /** Memory that is missing to hold the model. */
  get missingBytes(): number {
    return this.#missingBytes;
  }

  /** How long nothing has served, in ms; 0 while something does. */
  get downMs(): number {
    return this.#downSinceMs === null ? 0 : this.#clock.now() - this.#downSinceMs;
  }

  /** Tells of every change. Returns how to stop. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  set(state: ClusterState, note: string | null, missingBytes = 0): void {
    this.#downSinceMs = state === "serving" ? null : this.#downSinceMs ?? this.#clock.now();
    this.#state = state;
    this.#note = note;
    this.#missingBytes = missingBytes;
    this.changed();
  }

  /** Something else that listeners may show has changed. */
  changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
