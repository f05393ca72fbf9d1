import fc from "fast-check";
import { expect, test } from "vitest";
import { Detokenizer, type DetokenizerOptions } from "../../src/tokenizer/detokenizer.ts";
import { decodeTokens } from "../../src/tokenizer/detokenizer.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";

/** Ids 0 to 255 are bytes, 256 is special, more stand for the strings given. */
function byteTokenizer(pieces: readonly string[] = [], stripsLeadingSpace = false): Tokenizer {
  const bytes = [
    ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
    new Uint8Array(0),
    ...pieces.map((piece) => new TextEncoder().encode(piece)),
  ];
  return {
    vocabSize: bytes.length,
    bosTokenId: null,
    eosTokenIds: [256],
    stripsLeadingSpace,
    encode: (text) => [...new TextEncoder().encode(text)],
    tokenBytes: (id) => bytes[id]!,
    isSpecial: (id) => id === 256,
    idToToken: (id) => id === 256 ? "<end>" : null,
    tokenToId: () => null,
  };
}

const BYTES = byteTokenizer();

/** What each push of one token shows, and what the flush shows at the end. */
function stream(text: string | number[], options: DetokenizerOptions = {}, tokenizer = BYTES) {
  const detokenizer = new Detokenizer(tokenizer, options);
  const ids = typeof text === "string" ? tokenizer.encode(text) : text;
  const shown = ids.map((id) => detokenizer.push([id]));
  return { shown: [...shown, detokenizer.flush()], stop: detokenizer.stopString };
}

test("push() holds back half characters", () => {
  expect(stream("é🙂").shown).toEqual(["", "é", "", "", "", "🙂", ""]);
});

test("invalid bytes become U+FFFD as soon as they cannot become a character", () => {
  expect(stream([0xc3, 0x41, 0xff, 0xe4, 0xb8]).shown).toEqual([
    "",
    "\ufffdA",
    "\ufffd",
    "",
    "",
    "\ufffd",
  ]);
});

test("a byte order mark is text", () => {
  expect(stream("\ufeffa").shown.join("")).toBe("\ufeffa");
});

test("special tokens have no text, unless they are asked for", () => {
  expect(stream([65, 256, 66]).shown.join("")).toBe("AB");
  expect(stream([0xc3, 256, 0xa9]).shown.join("")).toBe("é");
  expect(stream([65, 256, 66], { skipSpecialTokens: false }).shown.join("")).toBe("A<end>B");
});

test("push() holds back what may become a stop string and cuts before it", () => {
  expect(stream("a END", { stop: ["END"] })).toEqual({
    shown: ["a", " ", "", "", "", ""],
    stop: "END",
  });
  expect(stream("ENEND!", { stop: ["END"] })).toEqual({
    shown: ["", "", "EN", "", "", "", ""],
    stop: "END",
  });
  expect(stream("EN", { stop: ["END"] })).toEqual({ shown: ["", "", "EN"], stop: null });
});

test("the stop string stays when asked for", () => {
  const { shown, stop } = stream("a END b", { stop: ["END"], includeStop: true });
  expect(shown.join("")).toBe("a END");
  expect(stop).toBe("END");
});

test("of overlapping stop strings the first complete one counts, the longest of several", () => {
  expect(stream("xabcd", { stop: ["abcd", "bc"] })).toMatchObject({ stop: "bc" });
  expect(stream("xabcd", { stop: ["abcd", "bc"] }).shown.join("")).toBe("xa");
  expect(stream("xabc", { stop: ["c", "abc", "bc"] })).toMatchObject({ stop: "abc" });
  expect(stream("aabaabaaab", { stop: ["aabaaa"] }).shown.join("")).toBe("aab");
});

test("a stop string may be inside one token, span tokens and have characters of many bytes", () => {
  const tokenizer = byteTokenizer(["x。\n\n終", "わりy"]);
  expect(stream([257, 258], { stop: ["終わり"] }, tokenizer)).toEqual({
    shown: ["x。\n\n", "", ""],
    stop: "終わり",
  });
  expect(stream([257], { stop: ["。"] }, tokenizer)).toEqual({ shown: ["x", ""], stop: "。" });
  expect(stream("🙂🙃!", { stop: ["🙃"] }).shown.join("")).toBe("🙂");
});

test("nothing is shown after a stop, and empty stop strings stop nothing", () => {
  const detokenizer = new Detokenizer(BYTES, { stop: ["", "b"] });
  expect(detokenizer.push([97, 98, 99])).toBe("a");
  expect(detokenizer.push([100])).toBe("");
  expect(detokenizer.flush()).toBe("");
  expect(detokenizer.stopString).toBe("b");
});

test("a stop string may be completed by what the flush turns into U+FFFD", () => {
  expect(stream([97, 0xc3], { stop: ["a\ufffd"] })).toEqual({
    shown: ["", "", ""],
    stop: "a\ufffd",
  });
});

test("SentencePiece's leading space goes, but not when the text goes on from a prompt", () => {
  const tokenizer = byteTokenizer([], true);
  expect(stream("  a b", {}, tokenizer).shown.join("")).toBe(" a b");
  expect(stream(" a", { continuesText: true }, tokenizer).shown.join("")).toBe(" a");
  expect(stream("a", {}, tokenizer).shown.join("")).toBe("a");
});

/** Text without and with a stop, by the definition instead of by the algorithm. */
function oneShot(ids: number[], stops: readonly string[], includeStop: boolean) {
  const bytes = ids.filter((id) => id !== 256);
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
  for (let end = 1; end <= text.length; end++) {
    const complete = stops.filter((stop) => stop !== "" && text.slice(0, end).endsWith(stop));
    if (complete.length === 0) continue;
    const stop = complete.reduce((a, b) => b.length > a.length ? b : a);
    return { text: text.slice(0, includeStop ? end : end - stop.length), stop };
  }
  return { text, stop: null };
}

const fewBytes = fc.oneof(
  fc.constantFrom(0x61, 0x62, 0x20, 0xc3, 0xa9, 0xe4, 0xb8, 0xad, 0xf0, 0x9f, 0x99, 0x82, 256),
  fc.integer({ min: 0, max: 256 }),
);
const tokenIds = fc.oneof(
  fc.array(fewBytes, { maxLength: 40 }),
  fc.array(fc.constantFrom(..."ab é中🙂"), { maxLength: 20 }).map((text) =>
    BYTES.encode(text.join(""))
  ),
);
const stopStrings = fc.array(
  fc.array(fc.constantFrom("a", "b", " ", "é", "中", "🙂", "\ufffd"), { maxLength: 4 })
    .map((parts) => parts.join("")),
  { maxLength: 4 },
);

test("what is shown is what one-shot decoding gives, however the tokens are cut", () => {
  fc.assert(
    fc.property(
      tokenIds,
      stopStrings,
      fc.boolean(),
      fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 10 }),
      (ids, stop, includeStop, sizes) => {
        const detokenizer = new Detokenizer(BYTES, { stop, includeStop });
        let shown = "";
        for (let at = 0, i = 0; at < ids.length; i++) {
          const size = sizes[i % sizes.length]!;
          shown += detokenizer.push(ids.slice(at, at + size));
          at += size;
        }
        shown += detokenizer.flush();
        expect({ text: shown, stop: detokenizer.stopString }).toEqual(
          oneShot(ids, stop, includeStop),
        );
        expect(decodeTokens(BYTES, ids)).toBe(oneShot(ids, [], false).text);
      },
    ),
    { numRuns: 5000, seed: 42 },
  );
});
