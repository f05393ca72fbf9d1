import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { normalizeNfc } from "../../src/tokenizer/nfc.ts";
import { compileNormalizer } from "../../src/tokenizer/normalizer.ts";

test("normalizeNfc() does what the Rust package does around every code point", () => {
  const rust = createRequire(import.meta.url)("tokenizers").nfcNormalizer();
  const different: string[] = [];
  for (let codePoint = 0; codePoint < 0x110000; codePoint++) {
    if (codePoint >= 0xd800 && codePoint < 0xe000) continue;
    const c = String.fromCodePoint(codePoint);
    const text = `${c} a${c}\u0323 a\u0301${c} ${c}\u0301 a${c}\u0301\u0323 \u1100${c}\u11a8`;
    if (normalizeNfc(text) !== rust.normalizeString(text)) different.push(codePoint.toString(16));
  }
  expect(different).toEqual([]);
});

test("compileNormalizer() chains steps and leaves text alone without any", () => {
  const replace = { type: "Replace", pattern: { String: " " }, content: "▁" };
  const prepend = { type: "Prepend", prepend: "▁" };
  const chain = compileNormalizer({
    type: "Sequence",
    normalizers: [{ type: "NFC" }, prepend, replace],
  });
  expect(chain?.("e\u0301 b")).toBe("▁é▁b");
  expect(compileNormalizer(null)).toBeNull();
  expect(() => compileNormalizer({ type: "Rot13" })).toThrow('Normalizer "Rot13" cannot be used');
});
