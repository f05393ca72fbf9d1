/**
 * Frames of type "batch": what batch_wire.ts describes, in a payload.
 *
 * @module
 */
import { type Batch, numBatchTokens } from "../core.ts";
import type { Frame } from "../mesh/frame.ts";
import type { StageLimits } from "../stage/stage_limits.ts";
import { WireError, WireReader } from "./wire_reader.ts";

/** The parts of a payload, as views. */
export interface BatchPayload {
  readonly meta: Uint8Array;
  /** Token ids for the first stage, hidden states for the others. */
  readonly input: Uint8Array;
}

/** Splits a payload. Throws a WireError when it is damaged. */
export function readBatchPayload(payload: Uint8Array): BatchPayload {
  const reader = new WireReader(payload);
  const meta = reader.bytes(reader.u32());
  return { meta, input: reader.bytes(reader.numLeft) };
}

/** Token ids, little-endian. Throws a WireError for a length that is no multiple of 4. */
export function readTokenIds(input: Uint8Array): Uint32Array {
  if (input.length % 4 !== 0) throw new WireError(`${input.length} bytes are no token ids`);
  return new WireReader(input).u32s(input.length / 4);
}

/** All token ids of a batch, end to end. */
export function tokenIdBytes(batch: Batch): Uint8Array {
  const tokenIds = new Uint32Array(numBatchTokens(batch));
  let at = 0;
  for (const slice of batch.slices) {
    tokenIds.set(slice.tokenIds, at);
    at += slice.tokenIds.length;
  }
  return new Uint8Array(tokenIds.buffer);
}

/** A frame for the next stage. */
export function batchFrame(
  parts: BatchPayload,
  head: Pick<Frame, "epoch" | "sequence" | "position" | "numTokens" | "dtype">,
): Frame {
  const { meta, input } = parts;
  const payload = new Uint8Array(4 + meta.length + input.length);
  new DataView(payload.buffer).setUint32(0, meta.length, true);
  payload.set(meta, 4);
  payload.set(input, 4 + meta.length);
  return { type: "batch", ...head, payload };
}

/** Bytes of the options of a slice: 6 f64 and a dozen u32. */
const SLICE_BYTES = 128;

/** Largest payload that a stage within `limits` can be sent. */
export function maxBatchBytes(
  limits: StageLimits,
  { hiddenSize, vocabSize }: { readonly hiddenSize: number; readonly vocabSize: number },
): number {
  const { maxBatchTokens, maxSequences, numBlocks } = limits;
  const tokenBytes = maxBatchTokens * Math.max(4, hiddenSize * 4);
  // Each slice may bring the counts of a vocabulary and a table of all blocks.
  return tokenBytes + maxSequences * (SLICE_BYTES + 8 * vocabSize + 4 * numBlocks);
}
