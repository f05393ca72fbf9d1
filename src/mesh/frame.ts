/**
 * What travels on the binary channels of a link, and its header on the wire.
 *
 * @module
 */
import { checksum32 } from "./checksum.ts";

/** Element type of a payload's tensor part; "none" where there is no tensor. */
export type FrameDtype = "none" | "f32" | "f16";

/**
 * "batch" goes to a stage, "tokens" from the last stage to the coordinator, "weights" carries bytes
 * of a model's file, "probe" is sent back as it came.
 */
export type FrameType = "batch" | "tokens" | "weights" | "probe";

/** One frame. On the wire: a header of 32 bytes, then the payload. */
export interface Frame {
  readonly type: FrameType;
  /** u32. Of the pipeline that the frame belongs to; receivers refuse any other. */
  readonly epoch: number;
  /** u32. The batch's step id, or the id of the read that asked for weights. */
  readonly sequence: number;
  /** u32. Start position of the batch's first slice; 0 for the other types. */
  readonly position: number;
  /** u32. Tokens of the batch, over all slices; 0 for the other types. */
  readonly numTokens: number;
  readonly dtype: FrameDtype;
  readonly payload: Uint8Array;
}

/** A header as it came: a frame without its payload. */
export interface FrameHeader extends Omit<Frame, "payload"> {
  /** u32. Of the payload. */
  readonly lengthBytes: number;
  /** u32. Of the header with this field zero, then the payload. */
  readonly checksum: number;
}

/** Length of every header. */
export const FRAME_HEADER_BYTES = 32;

/** "TF", little-endian. */
const MAGIC = 0x4654;
const VERSION = 1;

/** Byte offsets of the header's fields, all little-endian. */
const OFFSET = {
  magic: 0, // u16
  version: 2, // u8
  type: 3, // u8
  epoch: 4, // u32
  sequence: 8, // u32
  position: 12, // u32
  numTokens: 16, // u32
  dtype: 20, // u8
  reserved: 21, // 3 bytes, zero
  lengthBytes: 24, // u32
  checksum: 28, // u32
} as const;

/** On the wire: the index. */
const TYPES: readonly FrameType[] = ["batch", "tokens", "weights", "probe"];
const DTYPES: readonly FrameDtype[] = ["none", "f32", "f16"];

const U32_LIMIT = 2 ** 32;

/**
 * Writes a frame's header to the first 32 bytes of `target`.
 *
 * @throws RangeError when a number of the frame is no u32.
 */
export function encodeFrameHeader(frame: Frame, target: Uint8Array): void {
  for (const field of ["epoch", "sequence", "position", "numTokens"] as const) {
    const value = frame[field];
    if (!Number.isInteger(value) || value < 0 || value >= U32_LIMIT) {
      throw new RangeError(`Frame's ${field} is ${value}: it must be an integer in [0, 2^32)`);
    }
  }
  const view = headerView(target);
  view.setUint16(OFFSET.magic, MAGIC, true);
  view.setUint8(OFFSET.version, VERSION);
  view.setUint8(OFFSET.type, TYPES.indexOf(frame.type));
  view.setUint32(OFFSET.epoch, frame.epoch, true);
  view.setUint32(OFFSET.sequence, frame.sequence, true);
  view.setUint32(OFFSET.position, frame.position, true);
  view.setUint32(OFFSET.numTokens, frame.numTokens, true);
  // The three reserved bytes are the upper ones of this word.
  view.setUint32(OFFSET.dtype, DTYPES.indexOf(frame.dtype), true);
  view.setUint32(OFFSET.lengthBytes, frame.payload.length, true);
  view.setUint32(OFFSET.checksum, 0, true);
  const header = target.subarray(0, FRAME_HEADER_BYTES);
  view.setUint32(OFFSET.checksum, checksum32(frame.payload, checksum32(header)), true);
}

/** The header at the start of `bytes`, or why it is none. */
export function parseFrameHeader(bytes: Uint8Array): FrameHeader | string {
  if (bytes.length < FRAME_HEADER_BYTES) return `${bytes.length} bytes are no frame header`;
  const view = headerView(bytes);
  if (view.getUint16(OFFSET.magic, true) !== MAGIC) return "Not a frame";
  const version = view.getUint8(OFFSET.version);
  if (version !== VERSION) return `Unknown frame version ${version}`;
  const type = TYPES[view.getUint8(OFFSET.type)];
  if (type === undefined) return `Unknown frame type ${view.getUint8(OFFSET.type)}`;
  const dtype = DTYPES[view.getUint8(OFFSET.dtype)];
  if (dtype === undefined) return `Unknown element type ${view.getUint8(OFFSET.dtype)}`;
  if (view.getUint32(OFFSET.dtype, true) >>> 8 !== 0) return "Reserved bytes are set";
  return {
    type,
    epoch: view.getUint32(OFFSET.epoch, true),
    sequence: view.getUint32(OFFSET.sequence, true),
    position: view.getUint32(OFFSET.position, true),
    numTokens: view.getUint32(OFFSET.numTokens, true),
    dtype,
    lengthBytes: view.getUint32(OFFSET.lengthBytes, true),
    checksum: view.getUint32(OFFSET.checksum, true),
  };
}

/** Whether a complete frame is what was sent; `headerBytes` as it came. */
export function isFrameIntact(headerBytes: Uint8Array, payload: Uint8Array): boolean {
  const zeroed = headerBytes.slice(0, FRAME_HEADER_BYTES);
  const view = headerView(zeroed);
  const checksum = view.getUint32(OFFSET.checksum, true);
  view.setUint32(OFFSET.checksum, 0, true);
  return checksum32(payload, checksum32(zeroed)) === checksum;
}

function headerView(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, FRAME_HEADER_BYTES);
}
