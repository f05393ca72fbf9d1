import type {
  Batch,
  BatchSlice,
  BlockCopy,
  PenaltyRequest,
  SampleRequest,
  StateMoves,
} from "../core.ts";
import { BLOCK_SIZE } from "../core.ts";
import type { StageLimits } from "../stage/stage_limits.ts";
import {
  ALL_FLAGS,
  HAS_BLOCK_COPY,
  HAS_OPTIONS,
  HAS_PENALTIES,
  HAS_SAMPLE,
  RESTARTS_COUNTS,
  RESTORES_STATE,
  SAVES_STATE,
  TAKES_DRAWN,
  WANTS_LOGITS,
} from "./batch_wire.ts";
import { SequenceMemory } from "./sequence_memory.ts";
import { WireError, WireReader } from "./wire_reader.ts";

type Options = Omit<SampleRequest, "tokenIndex" | "penalties" | "wantsLogits"> & {
  readonly penalties: Pick<PenaltyRequest, "presence" | "frequency" | "repetition"> | null;
};

interface KnownState {
  numSlices: number;
  blockTable: Uint32Array;
  options: Options | null;
  counts: Map<number, number> | null;
}

/** What a stage reads from a frame: the batch, without token ids unless `tokenIds` are given. */
export interface EncodedBatch {
  readonly stepId: number;
  readonly meta: Uint8Array;
  /** Of all slices, end to end; null for a stage that has no embedding. */
  readonly tokenIds: Uint32Array | null;
}

/** Rebuilds the batches of one pipeline from what a BatchEncoder wrote. */
export class BatchDecoder {
  readonly #limits: StageLimits;
  readonly #known = new SequenceMemory<KnownState>();

  constructor(limits: StageLimits) {
    this.#limits = limits;
  }

  /**
   * Decodes the next batch. Throws a WireError when the bytes are damaged, a batch with one of its
   * sequences was lost, or it exceeds the stage's limits. Such a batch counts as lost itself: its
   * sequences are refused from there on, until they come whole.
   */
  decode(encoded: EncodedBatch): Batch {
    const slices: BatchSlice[] = [];
    const batch = { stepId: encoded.stepId, slices };
    try {
      this.#readSlices(encoded, slices);
    } catch (error) {
      // Those before the fault are not computed either: their next slice has to be missed.
      this.doubt(batch);
      throw error;
    }
    this.#known.forgetOldest();
    return batch;
  }

  /** A batch is not computed after all: its sequences are refused until they come whole. */
  doubt({ slices }: Batch): void {
    for (const { sequenceId } of slices) {
      const state = this.#known.get(sequenceId);
      if (state !== undefined) state.numSlices = 0;
    }
  }

  /** Fills `slices`, also when it throws. */
  #readSlices({ meta, tokenIds }: EncodedBatch, slices: BatchSlice[]): void {
    const reader = new WireReader(meta);
    const numSlices = reader.u32();
    if (numSlices > this.#limits.maxSequences) {
      throw new WireError(`${numSlices} slices exceed the limit of ${this.#limits.maxSequences}`);
    }
    const slots = new Set<number>();
    let firstToken = 0;
    for (let i = 0; i < numSlices; i++) {
      const slice = this.#slice(reader, { tokenIds, firstToken });
      firstToken += slice.tokenIds.length;
      slices.push(slice);
      if (slots.has(slice.slot)) throw new WireError(`Slot ${slice.slot} is used twice`);
      slots.add(slice.slot);
    }
    reader.end();
    if (tokenIds !== null && tokenIds.length !== firstToken) {
      throw new WireError(`${tokenIds.length} token ids came for ${firstToken} tokens`);
    }
  }

  #slice(
    reader: WireReader,
    { tokenIds, firstToken }: {
      readonly tokenIds: Uint32Array | null;
      readonly firstToken: number;
    },
  ): BatchSlice {
    const { maxBatchTokens, maxModelLength, maxSequences } = this.#limits;
    const sequenceId = reader.u32();
    const state = this.#state(sequenceId, reader.u32());
    const slot = reader.u32();
    const startPosition = reader.u32();
    const numTokens = reader.u32();
    const flags = reader.u32();
    const end = startPosition + numTokens;
    if ((flags & ~ALL_FLAGS) !== 0) throw new WireError(`Flags ${flags} are unknown`);
    const takesDrawn = (flags & TAKES_DRAWN) !== 0;
    if (slot >= maxSequences) throw new WireError(`Slot ${slot} is beyond ${maxSequences}`);
    if (takesDrawn && numTokens !== 1) {
      throw new WireError(`${numTokens} tokens were drawn at once`);
    }
    if (numTokens === 0 || end > maxModelLength) {
      throw new WireError(`Positions [${startPosition}, ${end}) are outside every sequence`);
    }
    if (firstToken + numTokens > maxBatchTokens) {
      throw new WireError(`The batch exceeds ${maxBatchTokens} tokens`);
    }
    if (tokenIds !== null && firstToken + numTokens > tokenIds.length) {
      throw new WireError(`${tokenIds.length} token ids are too few for the batch`);
    }
    this.#readBlocks(reader, state, Math.ceil(end / BLOCK_SIZE));
    const slice = {
      sequenceId,
      slot,
      startPosition,
      tokenIds: tokenIds?.slice(firstToken, firstToken + numTokens) ?? new Uint32Array(numTokens),
      ...(takesDrawn && { takesDrawn }),
      blockTable: state.blockTable,
      ...((flags & HAS_BLOCK_COPY) !== 0 && { blockCopy: this.#readCopy(reader, state) }),
      ...((flags & (RESTORES_STATE | SAVES_STATE)) !== 0 && {
        stateMoves: this.#readMoves(reader, flags),
      }),
      ...((flags & HAS_SAMPLE) !== 0 && {
        sample: readSample(reader, { state, flags, maxTokenIds: maxModelLength }),
      }),
    };
    state.numSlices++;
    this.#known.use(sequenceId, state);
    return slice;
  }

  #state(sequenceId: number, sliceIndex: number): KnownState {
    const state = sliceIndex === 0 ? newState() : this.#known.get(sequenceId);
    if (state?.numSlices === sliceIndex) return state;
    throw new WireError(
      `Slice ${sliceIndex} of sequence ${sequenceId} came after ${state?.numSlices ?? 0}: ` +
        "a batch was lost",
    );
  }

  #readBlocks(reader: WireReader, state: KnownState, numBlocks: number): void {
    const numKept = reader.u32();
    const newBlocks = reader.u32s(reader.u32());
    newBlocks.forEach((block) => this.#checkBlock(block));
    if (numKept > state.blockTable.length || numKept + newBlocks.length !== numBlocks) {
      throw new WireError(
        `${numKept} of ${state.blockTable.length} known blocks and ${newBlocks.length} new ones ` +
          `do not make ${numBlocks}`,
      );
    }
    const blockTable = new Uint32Array(numBlocks);
    blockTable.set(state.blockTable.subarray(0, numKept));
    blockTable.set(newBlocks, numKept);
    state.blockTable = blockTable;
  }

  #readCopy(reader: WireReader, { blockTable }: KnownState): BlockCopy {
    const copy = { from: reader.u32(), to: reader.u32() };
    this.#checkBlock(copy.from);
    if (blockTable.includes(copy.to)) return copy;
    throw new WireError(`Block ${copy.to} gets a copy and is none of the sequence`);
  }

  #readMoves(reader: WireReader, flags: number): StateMoves {
    const moves = {
      ...((flags & RESTORES_STATE) !== 0 && { restoreFrom: reader.u32() }),
      ...((flags & SAVES_STATE) !== 0 && { saveTo: reader.u32() }),
    };
    const { numSavedStates } = this.#limits;
    const stray = Object.values(moves).find((saved) => saved >= numSavedStates);
    if (stray === undefined) return moves;
    throw new WireError(`Saved state ${stray} is beyond ${numSavedStates}`);
  }

  #checkBlock(block: number): void {
    const { numBlocks } = this.#limits;
    if (block >= numBlocks) {
      throw new WireError(`Block ${block} is outside the pool of ${numBlocks}`);
    }
  }
}

function newState(): KnownState {
  return {
    numSlices: 0,
    blockTable: new Uint32Array(0),
    options: null,
    counts: null,
  };
}

function readSample(
  reader: WireReader,
  { state, flags, maxTokenIds }: {
    readonly state: KnownState;
    readonly flags: number;
    readonly maxTokenIds: number;
  },
): SampleRequest {
  const tokenIndex = reader.u32();
  const hasPenalties = (flags & HAS_PENALTIES) !== 0;
  if ((flags & HAS_OPTIONS) !== 0) state.options = readOptions(reader, hasPenalties);
  const { options } = state;
  if (options === null || (options.penalties !== null) !== hasPenalties) {
    throw new WireError("The sampling options do not fit the flags");
  }
  const { penalties, ...rest } = options;
  const sample = {
    ...rest,
    tokenIndex,
    ...((flags & WANTS_LOGITS) !== 0 && { wantsLogits: true }),
  };
  if (penalties === null) {
    state.counts = null;
    return sample;
  }
  if ((flags & RESTARTS_COUNTS) !== 0) state.counts = new Map();
  const { counts } = state;
  if (counts === null) throw new WireError("Changes of token counts came before the counts");
  const changes = reader.u32s(reader.u32() * 2);
  for (let i = 0; i < changes.length; i += 2) counts.set(changes[i] ?? 0, changes[i + 1] ?? 0);
  if (counts.size > maxTokenIds) {
    throw new WireError(`A sequence of ${counts.size} distinct tokens exceeds ${maxTokenIds}`);
  }
  return {
    ...sample,
    penalties: {
      ...penalties,
      tokenIds: Uint32Array.from(counts.keys()),
      outputCounts: Uint32Array.from(counts.values()),
    },
  };
}

function readOptions(reader: WireReader, hasPenalties: boolean): Options {
  return {
    temperature: reader.f64(),
    topP: reader.f64(),
    minP: reader.f64(),
    topK: reader.u32(),
    seed: reader.u32(),
    penalties: hasPenalties
      ? { presence: reader.f64(), frequency: reader.f64(), repetition: reader.f64() }
      : null,
  };
}
