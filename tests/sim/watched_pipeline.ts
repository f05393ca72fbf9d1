import type { Batch, TokenOutput } from "../../src/core.ts";
import type { EnginePipeline } from "../../src/engine.ts";
import { PipelineLostError } from "../../src/pipeline/pipeline_lost_error.ts";
import { warmUp } from "../../src/pipeline/warm_up.ts";
import type { StageLimits } from "../../src/stage/stage_limits.ts";
import { checkStages } from "./invariants.ts";
import type { World } from "./world.ts";

/** What stands between the engine and the cluster: looks at what goes and what comes back. */
export class WatchedPipeline implements EnginePipeline {
  /** Batches that left the engine. */
  numSteps = 0;
  readonly #world: World;
  /** Epochs whose pipeline was tried out. */
  readonly #warmedUp = new Set<number>();
  #hasAnswered = false;
  #lastCachedBlocks = 0;

  constructor(world: World) {
    this.#world = world;
  }

  get numStages(): number {
    return this.#world.cluster.numStages;
  }

  async forward(batch: Batch): Promise<readonly TokenOutput[]> {
    const world = this.#world;
    const { cluster, engine, steps, batches } = world;
    world.guard(() => {
      checkStages(world, this.#warmedUp);
      const { numPreemptions, numFreeBlocks, numCachedBlocks } = engine.stats();
      this.#noteEviction(batch, { numFree: numFreeBlocks - numCachedBlocks, numCachedBlocks });
      const { epoch, numStages } = cluster;
      batches.takeBatch(batch, { epoch, numStages, numPreemptions });
    });
    this.numSteps++;
    world.touchEngine();
    try {
      const tokens = await steps.watchSend(batch, () => cluster.forward(batch));
      this.#hasAnswered = true;
      world.guard(() => steps.checkAnswer(batch));
      batches.takeTokens(batch);
      return tokens;
    } catch (error) {
      this.#countFailure(batch, error);
      throw error;
    } finally {
      world.touchEngine();
    }
  }

  /** As a coordinator warms up, with an eye on it. */
  async warmUp(
    pipeline: Parameters<typeof warmUp>[0],
    limits: StageLimits,
  ): Promise<void> {
    const { cluster, steps } = this.#world;
    const { epoch } = cluster;
    await warmUp({
      numStages: pipeline.numStages,
      forward: async (batch) => {
        const tokens = await steps.watchSend(batch, () => pipeline.forward(batch));
        this.#world.guard(() => steps.checkAnswer(batch));
        return tokens;
      },
    }, limits);
    this.#warmedUp.add(epoch);
  }

  /** The cluster has a new pipeline. */
  restart(): void {
    this.#hasAnswered = false;
  }

  /** Without free blocks, only eviction makes fewer of the cached ones; and a hit does. */
  #noteEviction(
    { slices }: Batch,
    { numFree, numCachedBlocks }: { readonly numFree: number; readonly numCachedBlocks: number },
  ): void {
    const { reach } = this.#world;
    const isHit = slices.some(({ startPosition, takesDrawn, tokenIds }) =>
      startPosition > 0 && !takesDrawn && tokenIds.length > 1
    );
    if (numFree === 0 && numCachedBlocks < this.#lastCachedBlocks && !isHit) {
      reach.count("path: eviction");
    }
    this.#lastCachedBlocks = numCachedBlocks;
    for (const { stateMoves } of slices) {
      if (stateMoves?.restoreFrom !== undefined) reach.count("path: state restored");
      if (stateMoves?.saveTo !== undefined) reach.count("path: state saved");
    }
  }

  #countFailure({ slices }: Batch, error: unknown): void {
    const { reach } = this.#world;
    if (!(error instanceof PipelineLostError)) return reach.count("path: step failed");
    reach.count("path: batch taken back");
    if (!this.#hasAnswered) reach.count("path: pipeline lost before its first answer");
    const isPrefill = slices.some(({ sample }) => sample === undefined);
    if (isPrefill) reach.count("path: pipeline lost in a prefill");
  }
}
