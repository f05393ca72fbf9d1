import {
  type Batch,
  type BatchSlice,
  BLOCK_SIZE,
  numBatchTokens,
  type Shard,
  type TokenOutput,
} from "../../src/core.ts";
import type { StageOutput } from "../../src/stage/stage.ts";
import type { StageLimits } from "../../src/stage/stage_limits.ts";
import { drawToken } from "../pipeline/hash_chain.ts";
import { DrawnTokens } from "../pipeline/hash_memory.ts";
import { hash2, hash3 } from "./hash.ts";

/** What layers of hash chains are made of. */
export interface OracleOptions {
  readonly shard: Shard;
  readonly limits: Pick<StageLimits, "numBlocks" | "maxSequences" | "numSavedStates">;
  readonly hiddenSize: number;
}

/**
 * Layers of the model without arithmetic (tests/pipeline/hash_chain.ts), for speed all in one: the
 * fold over a slice's earlier slots is made once and goes on from token to token.
 */
export class OracleLayers {
  readonly #options: OracleOptions;
  readonly #layers: readonly OracleLayer[];
  readonly #drawn = new DrawnTokens();

  constructor(options: OracleOptions) {
    const { shard: { startLayer, endLayer } } = options;
    this.#options = options;
    this.#layers = Array.from(
      { length: endLayer - startLayer },
      (_, i) => new OracleLayer(startLayer + i, options.limits),
    );
  }

  /** Rows of `hiddenSize` whose first element carries the hash. */
  run(sent: Batch, hidden: Float32Array | null): StageOutput {
    const { shard, hiddenSize } = this.#options;
    const numTokens = numBatchTokens(sent);
    if (shard.hasEmbedding !== (hidden === null)) throw new Error("Wrong kind of input");
    if (hidden !== null && hidden.length !== numTokens * hiddenSize) {
      throw new Error("Wrong number of rows");
    }
    const batch = sent.slices.some(({ takesDrawn }) => takesDrawn)
      ? this.#drawn.fillIn(sent)
      : sent;
    for (const layer of this.#layers) layer.copyBlocks(batch);
    const values = new Float64Array(numTokens);
    for (let row = 0; row < numTokens; row++) values[row] = hidden?.[row * hiddenSize] ?? 0;
    const tokens: TokenOutput[] = [];
    let row = 0;
    for (const slice of batch.slices) {
      const rows = values.subarray(row, row += slice.tokenIds.length);
      if (hidden === null) rows.set(slice.tokenIds);
      for (const layer of this.#layers) layer.run(slice, rows);
      if (slice.sample === undefined || !shard.hasHead) continue;
      const tokenId = drawToken(rows[rows.length - 1]!, slice.sample);
      this.#drawn.keep(slice, tokenId);
      tokens.push({ sequenceId: slice.sequenceId, tokenId });
    }
    if (shard.hasHead) return { type: "tokens", tokens };
    const output = new Float32Array(numTokens * hiddenSize);
    values.forEach((value, row) => output[row * hiddenSize] = value);
    return { type: "hidden", values: output };
  }
}

/** K and V of one layer, and its states where the model has them. */
class OracleLayer {
  readonly #layer: number;
  readonly #slots: Uint32Array;
  /** [maxSequences] of running sequences, then [numSavedStates]; null for a model without. */
  readonly #states: Uint32Array | null;
  readonly #numSequences: number;

  constructor(layer: number, { numBlocks, maxSequences, numSavedStates }: OracleOptions["limits"]) {
    this.#layer = layer;
    this.#numSequences = maxSequences;
    // Not zeros: what is read before it is written must not look like anything.
    this.#slots = new Uint32Array(numBlocks * BLOCK_SIZE);
    for (let i = 0; i < this.#slots.length; i++) this.#slots[i] = 0x7000_0000 + i;
    this.#states = numSavedStates > 0
      ? Uint32Array.from({ length: maxSequences + numSavedStates }, (_, i) => 0x6000_0000 + i)
      : null;
  }

  copyBlocks({ slices }: Batch): void {
    for (const { blockCopy } of slices) {
      if (blockCopy === undefined) continue;
      const [from, to] = [this.#firstSlot(blockCopy.from), this.#firstSlot(blockCopy.to)];
      this.#slots.copyWithin(to, from, from + BLOCK_SIZE);
    }
  }

  /** Replaces the values of a slice's tokens by the layer's outputs. */
  run(slice: BatchSlice, values: Float64Array): void {
    const { startPosition, blockTable, stateMoves, slot } = slice;
    const slots = this.#slots;
    let fold = this.#layer;
    for (let position = 0; position < startPosition; position++) {
      const block = blockTable[position / BLOCK_SIZE | 0]!;
      fold = hash2(fold, slots[this.#firstSlot(block) + position % BLOCK_SIZE]!);
    }
    let state = this.#stateBefore(slice);
    for (const [i, value] of values.entries()) {
      const position = startPosition + i;
      const block = blockTable[position / BLOCK_SIZE | 0]!;
      const written = hash3(this.#layer, position, value);
      slots[this.#firstSlot(block) + position % BLOCK_SIZE] = written;
      fold = hash2(fold, written);
      state = hash2(state, value);
      values[i] = this.#states === null ? fold : hash2(fold, state);
    }
    if (this.#states === null) return;
    this.#states[slot] = state;
    if (stateMoves?.saveTo !== undefined) {
      this.#states[this.#numSequences + stateMoves.saveTo] = state;
    }
  }

  #stateBefore({ slot, startPosition, stateMoves }: BatchSlice): number {
    if (this.#states === null) {
      if (stateMoves !== undefined) throw new Error("The model has no states to move");
      return 0;
    }
    if (stateMoves?.restoreFrom !== undefined) {
      return this.#states[this.#numSequences + stateMoves.restoreFrom]!;
    }
    return startPosition === 0 ? 0 : this.#states[slot]!;
  }

  #firstSlot(block: number): number {
    const first = block * BLOCK_SIZE;
    if (!(first < this.#slots.length)) throw new Error(`Block "${block}" is outside the pool`);
    return first;
  }
}
