/**
 * How a frame becomes messages of a data channel. The first starts with the header; those that
 * follow continue the payload and have none, which an ordered channel with one frame at a time
 * allows.
 *
 * @module
 */
import { encodeFrameHeader, type Frame, FRAME_HEADER_BYTES } from "./frame.ts";
import type { Lane } from "./peer_link.ts";

/**
 * Chromium's SCTP sends at most four packets per message handed to it while nothing is in flight,
 * and the rest a round trip later. Messages of at most four packets leave at once, all of them.
 */
const HOT_SLICE_BYTES = 4_600;

/** Frames up to this size leave the hot lane in small slices. Larger ones need bandwidth anyway. */
const SMALL_FRAME_BYTES = 64 * 1024;

/**
 * SCTP finishes a message before it starts one of another lane where interleaving is missing, so
 * that this is what a hot frame may have to wait for.
 */
const BULK_SLICE_BYTES = 16 * 1024;

/** The messages of a frame, in order: one small copy for the first, views of the payload after. */
export function* sliceFrame(frame: Frame, lane: Lane): Generator<Uint8Array<ArrayBuffer>> {
  const payload = frame.payload as Uint8Array<ArrayBuffer>;
  const isSmall = lane === "hot" && FRAME_HEADER_BYTES + payload.length <= SMALL_FRAME_BYTES;
  const sliceBytes = isSmall ? HOT_SLICE_BYTES : BULK_SLICE_BYTES;
  const firstBytes = Math.min(payload.length, sliceBytes - FRAME_HEADER_BYTES);
  const first = new Uint8Array(FRAME_HEADER_BYTES + firstBytes);
  encodeFrameHeader(frame, first);
  first.set(payload.subarray(0, firstBytes), FRAME_HEADER_BYTES);
  yield first;
  for (let start = firstBytes; start < payload.length; start += sliceBytes) {
    yield payload.subarray(start, start + sliceBytes);
  }
}
