/**
 * A model without arithmetic, to judge everything around the model. Its stages keep real paged KV
 * pools whose slots hold hashes; each output folds over all slots of the sequence, read through the
 * block table, and, for a model with state, over all inputs. One slot that is missing, stale,
 * misplaced or shared by mistake, or a wrong state, changes every later token, so that comparing
 * token lists checks scheduler, blocks, pipeline and engine at once.
 *
 * @module
 */
import {
  type Batch,
  type BatchSlice,
  type FinishReason,
  numBatchTokens,
  type SampleRequest,
  type SamplingParams,
  type Shard,
  splitLayers,
  type TokenOutput,
} from "../../src/core.ts";
import type { Stage, StageOutput } from "../../src/stage/stage.ts";
import { hash } from "./hash.ts";
import { DrawnTokens, EMPTY_STATE, HashPool, HashStates } from "./hash_memory.ts";

export const VOCAB_SIZE = 50;

export function drawToken(value: number, sample: SampleRequest): number {
  const { temperature, topP, topK, minP, seed, tokenIndex, penalties } = sample;
  const numbers = [temperature * 64, topP * 64, topK, minP * 64, seed, tokenIndex];
  if (penalties !== undefined) {
    const { presence, frequency, repetition, tokenIds, outputCounts } = penalties;
    numbers.push(presence * 64, frequency * 64, repetition * 64, tokenIds.length);
    // A sum, because the order of the distinct ids is nobody's business.
    let sum = 0;
    tokenIds.forEach((id, i) => sum += hash(id, outputCounts[i]!));
    numbers.push(sum);
  }
  return hash(value, ...numbers) % VOCAB_SIZE;
}

/** What `generate()` of an engine must produce, from a sequence that runs alone. */
export function expectedOutput(
  promptTokenIds: readonly number[],
  { sampling, numStages, maxModelLength, hasState = false }: {
    readonly sampling: SamplingParams;
    readonly numStages: number;
    readonly maxModelLength: number;
    /** As the stages' option says. */
    readonly hasState?: boolean;
  },
): { readonly tokenIds: number[]; readonly finishReason: FinishReason } {
  const history: number[] = [...promptTokenIds];
  const slots: number[][] = Array.from({ length: numStages }, () => []);
  const states: number[] = slots.map(() => EMPTY_STATE);
  const tokenIds: number[] = [];
  let numRun = 0;
  while (true) {
    let value = 0;
    for (; numRun < history.length; numRun++) {
      value = history[numRun]!;
      for (const [stage, stageSlots] of slots.entries()) {
        stageSlots.push(hash(stage, numRun, value));
        states[stage] = hash(states[stage]!, value);
        value = stageSlots.reduce((folded, slot) => hash(folded, slot), stage);
        if (hasState) value = hash(value, states[stage]!);
      }
    }
    const token = drawToken(value, soloSample(promptTokenIds, { tokenIds, sampling }));
    if (sampling.stopTokenIds.includes(token)) return { tokenIds, finishReason: "stop" };
    tokenIds.push(token);
    history.push(token);
    if (tokenIds.length === sampling.maxTokens || history.length === maxModelLength) {
      return { tokenIds, finishReason: "length" };
    }
  }
}

export function soloSample(
  prompt: readonly number[],
  { tokenIds, sampling }: {
    readonly tokenIds: readonly number[];
    readonly sampling: SamplingParams;
  },
): SampleRequest {
  const { temperature, topP, topK, minP, seed } = sampling;
  const { presencePenalty, frequencyPenalty, repetitionPenalty } = sampling;
  const request = { temperature, topP, topK, minP, seed, tokenIndex: tokenIds.length };
  if (presencePenalty === 0 && frequencyPenalty === 0 && repetitionPenalty === 1) return request;
  const distinct = [...new Set([...prompt, ...tokenIds])];
  return {
    ...request,
    penalties: {
      presence: presencePenalty,
      frequency: frequencyPenalty,
      repetition: repetitionPenalty,
      tokenIds: Uint32Array.from(distinct),
      outputCounts: Uint32Array.from(distinct, (id) => tokenIds.filter((x) => x === id).length),
    },
  };
}

/** Delays that end in whatever order the test decides. */
export class VirtualDelays {
  readonly #pending: (() => void)[] = [];

  get numPending(): number {
    return this.#pending.length;
  }

  wait(): Promise<void> {
    return new Promise((resolve) => this.#pending.push(resolve));
  }

  /** Ends the `index`-th delay of those pending, counted round. */
  end(index: number): void {
    const [resolve] = this.#pending.splice(index % this.#pending.length, 1);
    resolve?.();
  }
}

/** Of Deno and Node alike; much quicker than a timer. */
declare function setImmediate(callback: () => void): void;

/** Lets everything run that does not wait for a delay. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export interface HashChainOptions {
  readonly stageIndex: number;
  readonly shard: Shard;
  readonly numBlocks: number;
  /** Keeps a state for each running sequence, as linear attention does; false if absent. */
  readonly hasState?: boolean;
  /** Before and after a batch takes effect; no delay if absent. */
  readonly delays?: VirtualDelays;
  /** Called as a batch takes effect; may throw. */
  readonly onBatch?: (batch: Batch, stageIndex: number) => void;
}

/** One stage of the model without arithmetic. */
export class HashChainStage implements Stage {
  readonly shard: Shard;
  /** Step ids in the order in which they took effect. */
  readonly stepIds: number[] = [];
  isClosed = false;
  readonly #options: HashChainOptions;
  readonly #pool: HashPool;
  readonly #states: HashStates | null;
  readonly #drawn = new DrawnTokens();
  #lastEffect: Promise<unknown> = Promise.resolve();

  constructor(options: HashChainOptions) {
    this.#options = options;
    this.shard = options.shard;
    this.#pool = new HashPool(options.numBlocks);
    this.#states = options.hasState ? new HashStates() : null;
  }

  async forward(batch: Batch, hidden: Float32Array | null): Promise<StageOutput> {
    const { delays } = this.#options;
    const before = this.#lastEffect;
    const effect = (async () => {
      await before.catch(() => {});
      await delays?.wait();
      return this.#run(batch, hidden);
    })();
    this.#lastEffect = effect;
    const output = await effect;
    await delays?.wait();
    return output;
  }

  close(): void {
    this.isClosed = true;
  }

  #run(sent: Batch, hidden: Float32Array | null): StageOutput {
    const { stageIndex, shard, onBatch } = this.#options;
    if (this.isClosed) throw new Error("The stage is closed");
    onBatch?.(sent, stageIndex);
    this.stepIds.push(sent.stepId);
    const batch = this.#checked(sent, hidden);
    this.#pool.copyBlocks(batch);
    const values = new Float32Array(numBatchTokens(batch));
    const tokens: TokenOutput[] = [];
    let row = 0;
    for (const slice of batch.slices) {
      this.#states?.start(slice);
      for (const [i, tokenId] of slice.tokenIds.entries()) {
        values[row] = this.#runToken(slice, { index: i, input: hidden?.[row] ?? tokenId });
        row++;
      }
      this.#states?.end(slice);
      if (slice.sample === undefined) continue;
      const tokenId = drawToken(values[row - 1]!, slice.sample);
      this.#drawn.keep(slice, tokenId);
      tokens.push({ sequenceId: slice.sequenceId, tokenId });
    }
    return shard.hasHead ? { type: "tokens", tokens } : { type: "hidden", values };
  }

  /** The batch with the tokens that were drawn here. Throws for what no stage may be sent. */
  #checked(batch: Batch, hidden: Float32Array | null): Batch {
    const { hasEmbedding, hasHead } = this.shard;
    if (hasEmbedding !== (hidden === null)) throw new Error("Wrong kind of input");
    if (hidden !== null && hidden.length !== numBatchTokens(batch)) {
      throw new Error("Wrong number of rows");
    }
    const slots = new Set(batch.slices.map(({ slot }) => slot));
    if (slots.size < batch.slices.length) throw new Error("Two slices of a batch share a slot");
    if (this.#states === null && batch.slices.some(({ stateMoves }) => stateMoves)) {
      throw new Error("The stage has no states to move");
    }
    if (!batch.slices.some(({ takesDrawn }) => takesDrawn)) return batch;
    if (!hasEmbedding || !hasHead) throw new Error("Another stage draws the tokens");
    return this.#drawn.fillIn(batch);
  }

  #runToken(
    slice: BatchSlice,
    { index, input }: { readonly index: number; readonly input: number },
  ): number {
    const { stageIndex } = this.#options;
    const position = slice.startPosition + index;
    this.#pool.write(slice, position, hash(stageIndex, position, input));
    const value = this.#pool.fold(slice, position + 1, stageIndex);
    return this.#states === null ? value : hash(value, this.#states.fold(slice, input));
  }
}

/** `numStages` stages of one layer each. */
export function hashChainStages(
  numStages: number,
  options: Omit<HashChainOptions, "stageIndex" | "shard">,
): HashChainStage[] {
  return splitLayers(numStages, numStages).map((shard, stageIndex) =>
    new HashChainStage({ ...options, stageIndex, shard })
  );
}
