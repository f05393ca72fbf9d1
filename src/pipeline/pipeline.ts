/**
 * The stages that hold a whole model between them, in order. A local run is a pipeline of one.
 *
 * @module
 */
import type { Batch, Shard, TokenOutput } from "../core.ts";
import type { Stage, StageOutput } from "../stage/stage.ts";
import { StageError } from "./stage_error.ts";

/** What a pipeline is made of. */
export interface PipelineOptions {
  /** In the order of their layers. */
  readonly stages: readonly Stage[];
  /** Layers of the model. */
  readonly numLayers: number;
}

/** Ordered stages. Batches may be in flight in several of them at once. */
export class Pipeline {
  readonly #stages: readonly Stage[];
  /** Per stage: resolves once every batch so far has entered it or never will. */
  readonly #lastTurns: Promise<void>[];
  #isClosed = false;

  /** Throws a RangeError unless the shards are the whole model, each layer once and in order. */
  constructor({ stages, numLayers }: PipelineOptions) {
    checkShards(stages.map((stage) => stage.shard), numLayers);
    this.#stages = [...stages];
    this.#lastTurns = stages.map(() => Promise.resolve());
  }

  /** Batches that can be in flight without one waiting for another. */
  get numStages(): number {
    return this.#stages.length;
  }

  /**
   * Runs `batch` through all stages. Returns one token for each slice with `sample`, in the order
   * of the slices. Calls may overlap: each stage gets the batches in the order of the calls.
   *
   * Throws a StageError when a stage does; batches behind this one still run.
   */
  async forward(batch: Batch): Promise<readonly TokenOutput[]> {
    const turns = this.#stages.map((_, stageIndex) => this.#takeTurn(stageIndex));
    let output: StageOutput | null = null;
    let stageIndex = 0;
    try {
      for (; stageIndex < this.#stages.length; stageIndex++) {
        const turn = turns[stageIndex]!;
        await turn.isNext;
        if (this.#isClosed) throw new Error("The pipeline is closed");
        // Stages take overlapping calls in order: the next batch need not wait for the output.
        const running = this.#stages[stageIndex]!.forward(batch, hiddenOf(output));
        turn.pass();
        output = await running;
        checkOutput(output, { isLast: stageIndex === this.#stages.length - 1 });
      }
    } catch (cause) {
      throw new StageError({ stepId: batch.stepId, stageIndex, cause });
    } finally {
      for (const turn of turns) turn.pass();
    }
    return output?.type === "tokens" ? output.tokens : [];
  }

  /** Closes all stages; batches in flight reject. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const stage of this.#stages) stage.close();
  }

  #takeTurn(stageIndex: number): Turn {
    const isNext = this.#lastTurns[stageIndex]!;
    let pass!: () => void;
    const isPassed = new Promise<void>((resolve) => pass = resolve);
    // Chained, so that a batch which fails early does not let a later one overtake an earlier one.
    this.#lastTurns[stageIndex] = isNext.then(() => isPassed);
    return { isNext, pass };
  }
}

/** A batch's place in the queue of one stage. */
interface Turn {
  /** Resolves when all earlier batches have entered the stage. */
  readonly isNext: Promise<void>;
  /** Lets the next batch in. Calling it again does nothing. */
  pass(): void;
}

function hiddenOf(output: StageOutput | null): Float32Array | null {
  return output?.type === "hidden" ? output.values : null;
}

function checkOutput(output: StageOutput, { isLast }: { readonly isLast: boolean }): void {
  const wanted = isLast ? "tokens" : "hidden";
  if (output.type !== wanted) {
    throw new Error(`The stage returned "${output.type}" instead of "${wanted}"`);
  }
}

function checkShards(shards: readonly Shard[], numLayers: number): void {
  if (shards.length === 0) throw new RangeError("A pipeline needs at least one stage");
  let nextLayer = 0;
  for (const [i, { startLayer, endLayer, hasEmbedding, hasHead }] of shards.entries()) {
    if (startLayer !== nextLayer || endLayer < startLayer) {
      throw new RangeError(
        `Stage "${i}" has layers [${startLayer}, ${endLayer}) but should start at "${nextLayer}"`,
      );
    }
    if (hasEmbedding !== (i === 0)) {
      throw new RangeError(`The first stage has the embedding and no other: see stage "${i}"`);
    }
    if (hasHead !== (i === shards.length - 1)) {
      throw new RangeError(`The last stage has the head and no other: see stage "${i}"`);
    }
    nextLayer = endLayer;
  }
  if (nextLayer !== numLayers) {
    throw new RangeError(`The stages have layers [0, ${nextLayer}) of [0, ${numLayers})`);
  }
}
