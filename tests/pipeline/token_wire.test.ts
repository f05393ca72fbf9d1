import { expect, test } from "vitest";
import fc from "fast-check";
import { decodeTokens, encodeTokens } from "../../src/pipeline/token_wire.ts";
import { WireError } from "../../src/pipeline/wire_reader.ts";

const u32 = fc.nat(2 ** 32 - 1);
const token = fc.record({
  sequenceId: u32,
  tokenId: u32,
  logits: fc.float32Array({ minLength: 1, maxLength: 20 }),
}, { requiredKeys: ["sequenceId", "tokenId"] });

test("drawn tokens and their logits arrive bit for bit", () => {
  fc.assert(fc.property(fc.array(token, { maxLength: 10 }), (tokens) => {
    expect(decodeTokens(encodeTokens(tokens))).toEqual(tokens);
  }));
});

test("bytes that are no tokens are refused, whatever they are", () => {
  const isRefused = (bytes: Uint8Array) => {
    try {
      decodeTokens(bytes);
      return false;
    } catch (error) {
      expect(error).toBeInstanceOf(WireError);
      return true;
    }
  };
  fc.assert(fc.property(fc.array(token, { minLength: 1 }), fc.nat(), (tokens, choice) => {
    const bytes = encodeTokens(tokens);
    expect(isRefused(bytes.subarray(0, choice % bytes.length))).toBe(true);
    expect(isRefused(Uint8Array.from([...bytes, 0]))).toBe(true);
  }));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => void isRefused(bytes)));
  expect(isRefused(Uint8Array.of(255, 255, 255, 255))).toBe(true);
});
