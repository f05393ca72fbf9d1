import type { Batch, Shard } from "../../src/core.ts";
import type { Clock } from "../../src/platform/platform.ts";
import type { Stage, StageOutput } from "../../src/stage/stage.ts";
import { median } from "../median.ts";

/** Another stage, and how long it takes. */
export class TimedStage implements Stage {
  readonly #stage: Stage;
  readonly #clock: Clock;
  #times: number[] = [];
  #freeAtMs = 0;

  constructor(stage: Stage, clock: Clock) {
    this.#stage = stage;
    this.#clock = clock;
  }

  get shard(): Shard {
    return this.#stage.shard;
  }

  /** Of a step since the last look, without the wait for the step before it, in ms. */
  takeMedianMs(): number {
    const medianMs = median(this.#times);
    this.#times = [];
    return medianMs;
  }

  async forward(batch: Batch, hidden: Float32Array | null): Promise<StageOutput> {
    const calledMs = this.#clock.now();
    const output = await this.#stage.forward(batch, hidden);
    const nowMs = this.#clock.now();
    this.#times.push(nowMs - Math.max(calledMs, this.#freeAtMs));
    this.#freeAtMs = nowMs;
    return output;
  }

  close(): void {
    this.#stage.close();
  }
}
