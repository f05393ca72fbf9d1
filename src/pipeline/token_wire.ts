/**
 * How drawn tokens travel to the coordinator, all u32 but for f32 logits:
 *
 *     numOutputs | (sequenceId, tokenId, numLogits) [numOutputs] | logits, end to end
 *
 * @module
 */
import type { TokenOutput } from "../core.ts";
import { WireError, WireReader } from "./wire_reader.ts";
import { WireWriter } from "./wire_writer.ts";

/** The payload of a "tokens" frame. */
export function encodeTokens(tokens: readonly TokenOutput[]): Uint8Array<ArrayBuffer> {
  const writer = new WireWriter();
  writer.u32(tokens.length);
  for (const { sequenceId, tokenId, logits } of tokens) {
    writer.u32s([sequenceId, tokenId, logits?.length ?? 0]);
  }
  for (const { logits } of tokens) {
    if (logits) writer.bytes(new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength));
  }
  return writer.finish();
}

/** Reads such a payload. Throws a WireError when it is damaged. */
export function decodeTokens(payload: Uint8Array): TokenOutput[] {
  const reader = new WireReader(payload);
  const numOutputs = reader.u32();
  const heads = reader.u32s(numOutputs * 3);
  const tokens: TokenOutput[] = [];
  for (let i = 0; i < heads.length; i += 3) {
    const [sequenceId = 0, tokenId = 0, numLogits = 0] = heads.subarray(i, i + 3);
    const logits = reader.bytes(numLogits * 4);
    tokens.push({
      sequenceId,
      tokenId,
      ...(numLogits > 0 && { logits: new Float32Array(logits.slice().buffer) }),
    });
  }
  if (reader.numLeft > 0) throw new WireError(`${reader.numLeft} bytes are left over`);
  return tokens;
}
