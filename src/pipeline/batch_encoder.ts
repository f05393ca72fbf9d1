import type { Batch, BatchSlice, PenaltyRequest, SampleRequest } from "../core.ts";
import {
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
import { WireWriter } from "./wire_writer.ts";

/** What the stages know of a sequence. */
interface SentState {
  numSlices: number;
  blockTable: Uint32Array;
  /** Null before the first sample. */
  sample: SampleRequest | null;
  /** Output counts by token id; null while penalties are off. */
  counts: Map<number, number> | null;
}

/** Turns batches into what the stages of one pipeline do not know yet. */
export class BatchEncoder {
  readonly #sent = new SequenceMemory<SentState>();

  /**
   * The meta part of `batch`. To be sent in the order of the calls: each one builds on those
   * before.
   */
  encode(batch: Batch): Uint8Array<ArrayBuffer> {
    const writer = new WireWriter();
    writer.u32(batch.slices.length);
    for (const slice of batch.slices) this.#slice(writer, slice);
    this.#sent.forgetOldest();
    return writer.finish();
  }

  #slice(writer: WireWriter, slice: BatchSlice): void {
    const state = this.#sent.get(slice.sequenceId) ?? newState();
    this.#sent.use(slice.sequenceId, state);
    const numKept = commonPrefix(state.blockTable, slice.blockTable);
    const newBlocks = slice.blockTable.subarray(numKept);
    const { sample, blockCopy } = slice;
    const { restoreFrom, saveTo } = slice.stateMoves ?? {};
    const hasOptions = sample !== undefined && !hasSameOptions(state.sample, sample);
    const changes = sample?.penalties ? changedCounts(state.counts, sample.penalties) : null;
    writer.u32(slice.sequenceId);
    writer.u32(state.numSlices++);
    writer.u32(slice.slot);
    writer.u32(slice.startPosition);
    writer.u32(slice.tokenIds.length);
    writer.u32(
      (sample ? HAS_SAMPLE : 0) | (hasOptions ? HAS_OPTIONS : 0) |
        (changes ? HAS_PENALTIES : 0) | (changes?.isRestart ? RESTARTS_COUNTS : 0) |
        (sample?.wantsLogits ? WANTS_LOGITS : 0) | (slice.takesDrawn ? TAKES_DRAWN : 0) |
        (blockCopy ? HAS_BLOCK_COPY : 0) | (restoreFrom !== undefined ? RESTORES_STATE : 0) |
        (saveTo !== undefined ? SAVES_STATE : 0),
    );
    writer.u32(numKept);
    writer.u32(newBlocks.length);
    writer.u32s(newBlocks);
    state.blockTable = slice.blockTable.slice();
    if (blockCopy !== undefined) writer.u32s([blockCopy.from, blockCopy.to]);
    if (restoreFrom !== undefined) writer.u32(restoreFrom);
    if (saveTo !== undefined) writer.u32(saveTo);
    if (sample === undefined) return;
    writer.u32(sample.tokenIndex);
    if (hasOptions) writeOptions(writer, sample);
    if (changes) {
      writer.u32(changes.entries.length);
      for (const entry of changes.entries) writer.u32s(entry);
    }
    state.sample = sample;
    state.counts = sample.penalties ? countsOf(sample.penalties) : null;
  }
}

function newState(): SentState {
  return { numSlices: 0, blockTable: new Uint32Array(0), sample: null, counts: null };
}

function writeOptions(writer: WireWriter, sample: SampleRequest): void {
  writer.f64(sample.temperature);
  writer.f64(sample.topP);
  writer.f64(sample.minP);
  writer.u32(sample.topK);
  writer.u32(sample.seed);
  if (sample.penalties === undefined) return;
  writer.f64(sample.penalties.presence);
  writer.f64(sample.penalties.frequency);
  writer.f64(sample.penalties.repetition);
}

/** Bit for bit: 0 is not -0. */
function hasSameOptions(a: SampleRequest | null, b: SampleRequest): boolean {
  const isSame = (x: number | undefined, y: number | undefined) => Object.is(x, y);
  return a !== null && isSame(a.temperature, b.temperature) && isSame(a.topP, b.topP) &&
    isSame(a.minP, b.minP) && isSame(a.topK, b.topK) && isSame(a.seed, b.seed) &&
    isSame(a.penalties?.presence, b.penalties?.presence) &&
    isSame(a.penalties?.frequency, b.penalties?.frequency) &&
    isSame(a.penalties?.repetition, b.penalties?.repetition);
}

/** Counts only grow while a sequence lives; anything else starts them anew. */
function changedCounts(
  sent: ReadonlyMap<number, number> | null,
  { tokenIds, outputCounts }: PenaltyRequest,
): { readonly isRestart: boolean; readonly entries: readonly [number, number][] } {
  const entries: [number, number][] = [];
  const all: [number, number][] = [];
  let numKnown = 0;
  tokenIds.forEach((tokenId, i) => {
    const entry: [number, number] = [tokenId, outputCounts[i] ?? 0];
    all.push(entry);
    const known = sent?.get(tokenId);
    if (known !== undefined) numKnown++;
    if (known !== entry[1]) entries.push(entry);
  });
  const isRestart = sent === null || numKnown !== sent.size;
  return { isRestart, entries: isRestart ? all : entries };
}

function countsOf({ tokenIds, outputCounts }: PenaltyRequest): Map<number, number> {
  return new Map(Array.from(tokenIds, (tokenId, i) => [tokenId, outputCounts[i] ?? 0]));
}

function commonPrefix(a: Uint32Array, b: Uint32Array): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a[length] === b[length]) length++;
  return length;
}
