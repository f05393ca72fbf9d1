import { type Batch, numBatchTokens, type Shard } from "../../src/core.ts";
import type { Clock } from "../../src/platform/platform.ts";
import type { Stage, StageOutput } from "../../src/stage/stage.ts";

/** A stage that takes the same time for any batch and runs one at a time, as a GPU does. */
export class WaitStage implements Stage {
  readonly shard: Shard;
  readonly #options: {
    readonly stepMs: number;
    readonly hiddenSize: number;
    readonly clock: Clock;
  };
  /** Resolves when the device is free. */
  #lastStep: Promise<void> = Promise.resolve();

  constructor(shard: Shard, options: {
    readonly stepMs: number;
    readonly hiddenSize: number;
    readonly clock: Clock;
  }) {
    this.shard = shard;
    this.#options = options;
  }

  async forward(batch: Batch): Promise<StageOutput> {
    const { stepMs, hiddenSize, clock } = this.#options;
    await (this.#lastStep = this.#lastStep.then(() => clock.sleep(stepMs)));
    if (!this.shard.hasHead) {
      return { type: "hidden", values: new Float32Array(numBatchTokens(batch) * hiddenSize) };
    }
    const sampled = batch.slices.filter(({ sample }) => sample !== undefined);
    const tokens = sampled.map(({ sequenceId }) => ({ sequenceId, tokenId: 1 }));
    return { type: "tokens", tokens };
  }

  close(): void {}
}
