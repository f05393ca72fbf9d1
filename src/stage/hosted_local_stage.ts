import type { Batch, Shard } from "../core.ts";
import type { LocalStage } from "./local_stage.ts";
import type { StageOutput } from "./stage.ts";
import type { HostedStage, LoadState } from "./stage_host.ts";

/** A LocalStage with the tale of its load. */
export class HostedLocalStage implements HostedStage {
  readonly shard: Shard;
  readonly memoryBytes: number;
  readonly state: LoadState;
  readonly #stage: LocalStage;
  #isClosed = false;

  constructor(stage: LocalStage, state: LoadState) {
    const { weightBytes, bufferBytes } = stage.memory;
    this.shard = stage.shard;
    this.memoryBytes = weightBytes + bufferBytes;
    this.state = state;
    this.#stage = stage;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  forward(batch: Batch, hidden: Float32Array | null): Promise<StageOutput> {
    return this.#stage.forward(batch, hidden);
  }

  close(): void {
    this.#isClosed = true;
    this.#stage.close();
  }
}
