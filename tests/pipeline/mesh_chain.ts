import type { Batch, Shard } from "../../src/core.ts";
import { splitLayers } from "../../src/core.ts";
import { type MemoryLinkPair, memoryLinkPair } from "../../src/mesh/memory_link.ts";
import { maxBatchBytes } from "../../src/pipeline/batch_frame.ts";
import type { HiddenType } from "../../src/pipeline/hidden_wire.ts";
import { MeshPipeline } from "../../src/pipeline/mesh_pipeline.ts";
import { StageService } from "../../src/pipeline/stage_service.ts";
import type { Clock } from "../../src/platform/platform.ts";
import type { Stage, StageOutput } from "../../src/stage/stage.ts";
import { quickClock } from "../cluster/quick_clock.ts";
import { HashChainStage, VOCAB_SIZE } from "./hash_chain.ts";

export const CHAIN_LIMITS = {
  numBlocks: 512,
  maxModelLength: 4096,
  maxBatchTokens: 4096,
  maxSequences: 8,
  numSavedStates: 0,
  maxSamples: 8,
};

export const EPOCH = 7;

export interface MeshChainOptions {
  readonly numStages: number;
  readonly hiddenType?: HiddenType;
  /** The model keeps states, as linear attention does: 4 of them can be saved. */
  readonly hasState?: boolean;
  readonly clock?: Clock;
  /** Called as a batch takes effect; may throw. */
  readonly onBatch?: (batch: Batch, stageIndex: number) => void;
  /** Puts something in front of a stage. */
  readonly wrap?: (stage: Stage, stageIndex: number) => Stage;
}

/** A coordinator's pipeline and the services of its stages, over links within the process. */
export class MeshChain {
  readonly pipeline: MeshPipeline;
  readonly services: readonly StageService[];
  readonly stages: readonly HashChainStage[];
  /** Between the coordinator, as `a`, and each stage. */
  readonly wires: readonly MemoryLinkPair[];
  /** Between a stage, as `a`, and the next. */
  readonly hops: readonly MemoryLinkPair[];
  readonly failures: { readonly stepId: number; readonly reason: string }[] = [];

  constructor(options: MeshChainOptions) {
    const { numStages, clock = quickClock, hiddenType = "f32", hasState = false, onBatch } =
      options;
    const limits = { ...CHAIN_LIMITS, numSavedStates: hasState ? 4 : 0 };
    const shards = splitLayers(numStages, numStages);
    this.wires = shards.map((_, i) => memoryLinkPair({ clock, a: "c", b: `${i}` }));
    this.hops = shards.slice(1).map((_, i) => memoryLinkPair({ clock, a: `${i}`, b: `${i + 1}` }));
    for (const { a } of this.wires) a.allowPayload(1 << 20);
    this.stages = shards.map((shard, stageIndex) =>
      new HashChainStage({
        ...{ shard, stageIndex, hasState, numBlocks: limits.numBlocks },
        ...(onBatch && { onBatch }),
      })
    );
    this.services = this.stages.map((stage, i) => {
      const input = i === 0 ? this.wires[0]!.b : this.hops[i - 1]!.b;
      const output = this.hops[i]?.a ?? this.wires[i]!.b;
      input.allowPayload(maxBatchBytes(limits, { hiddenSize: 1, vocabSize: VOCAB_SIZE }));
      return new StageService({
        ...{ input, output, hiddenType, clock, epoch: EPOCH, limits, hiddenSize: 1 },
        stage: options.wrap?.(stage, i) ?? stage,
        onFailure: (failure) => {
          this.failures.push(failure);
          this.pipeline.failStep(failure.stepId, { stageIndex: i, reason: failure.reason });
        },
      });
    });
    this.pipeline = new MeshPipeline({
      ...{ epoch: EPOCH, clock },
      links: this.wires.map(({ a }) => a),
    });
  }

  close(): void {
    this.pipeline.close("The test is over");
    for (const { a } of [...this.wires, ...this.hops]) a.close("The test is over");
  }
}

/** A stage that lets `change` have its outputs. */
export function changedOutput(
  stage: Stage,
  change: (output: StageOutput) => StageOutput | Promise<StageOutput>,
): Stage {
  return {
    shard: stage.shard satisfies Shard,
    forward: async (batch, hidden) => await change(await stage.forward(batch, hidden)),
    close: () => stage.close(),
  };
}
