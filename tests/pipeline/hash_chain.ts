/**
 * A model without arithmetic, to judge everything around the model. Its stages keep real paged KV
 * pools whose slots hold hashes; each output folds over all slots of the sequence, read through the
 * block table. One slot that is missing, stale, misplaced or shared by mistake changes every later
 * token, so that comparing token lists checks scheduler, blocks, pipeline and engine at once.
 *
 * @module
 */
import {
  type Batch,
  type BatchSlice,
  BLOCK_SIZE,
  type FinishReason,
  numBatchTokens,
  type SampleRequest,
  type SamplingParams,
  type Shard,
  splitLayers,
  type TokenOutput,
} from "../../src/core.ts";
import type { Stage, StageOutput } from "../../src/stage/stage.ts";

export const VOCAB_SIZE = 50;

/** Hashes fit in 24 bits, so that a Float32Array carries them exactly. */
function hash(...values: readonly number[]): number {
  let state = 0x811c9dc5;
  for (const value of values) {
    state = Math.imul(state ^ value, 0x01000193);
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d);
  }
  return (state ^ (state >>> 13)) >>> 8;
}

function drawToken(value: number, sample: SampleRequest): number {
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
  { sampling, numStages, maxModelLength }: {
    readonly sampling: SamplingParams;
    readonly numStages: number;
    readonly maxModelLength: number;
  },
): { readonly tokenIds: number[]; readonly finishReason: FinishReason } {
  const history: number[] = [...promptTokenIds];
  const slots: number[][] = Array.from({ length: numStages }, () => []);
  const tokenIds: number[] = [];
  let numRun = 0;
  while (true) {
    let value = 0;
    for (; numRun < history.length; numRun++) {
      value = history[numRun]!;
      for (const [stage, stageSlots] of slots.entries()) {
        stageSlots.push(hash(stage, numRun, value));
        value = stageSlots.reduce((state, slot) => hash(state, slot), stage);
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

function soloSample(
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
  readonly #pool: Uint32Array;
  #lastEffect: Promise<unknown> = Promise.resolve();

  constructor(options: HashChainOptions) {
    this.#options = options;
    this.shard = options.shard;
    // Not zeros: an unwritten slot must not look like anything.
    this.#pool = Uint32Array.from(
      { length: options.numBlocks * BLOCK_SIZE },
      (_, slot) => hash(slot, 77),
    );
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

  #run(batch: Batch, hidden: Float32Array | null): StageOutput {
    const { stageIndex, shard, onBatch } = this.#options;
    if (this.isClosed) throw new Error("The stage is closed");
    onBatch?.(batch, stageIndex);
    this.stepIds.push(batch.stepId);
    if (shard.hasEmbedding !== (hidden === null)) throw new Error("Wrong kind of input");
    if (hidden !== null && hidden.length !== numBatchTokens(batch)) {
      throw new Error("Wrong number of rows");
    }
    const values = new Float32Array(numBatchTokens(batch));
    const tokens: TokenOutput[] = [];
    let row = 0;
    for (const slice of batch.slices) {
      for (const [i, tokenId] of slice.tokenIds.entries()) {
        values[row] = this.#runToken(slice, { index: i, input: hidden?.[row] ?? tokenId });
        row++;
      }
      if (slice.sample === undefined) continue;
      const tokenId = drawToken(values[row - 1]!, slice.sample);
      tokens.push({ sequenceId: slice.sequenceId, tokenId });
    }
    return shard.hasHead ? { type: "tokens", tokens } : { type: "hidden", values };
  }

  #runToken(
    slice: BatchSlice,
    { index, input }: { readonly index: number; readonly input: number },
  ): number {
    const { stageIndex } = this.#options;
    const position = slice.startPosition + index;
    this.#pool[this.#slot(slice, position)] = hash(stageIndex, position, input);
    let state = stageIndex;
    for (let p = 0; p <= position; p++) state = hash(state, this.#pool[this.#slot(slice, p)]!);
    return state;
  }

  #slot({ blockTable }: BatchSlice, position: number): number {
    const block = blockTable[Math.floor(position / BLOCK_SIZE)];
    if (block === undefined || block >= this.#options.numBlocks) {
      throw new Error(`Position "${position}" has no block`);
    }
    return block * BLOCK_SIZE + position % BLOCK_SIZE;
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
