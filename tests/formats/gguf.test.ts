import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FormatError } from "../../src/formats/format_error.ts";
import { readGgufHeader } from "../../src/formats/gguf.ts";
import { MemorySource } from "../../src/weights/memory_source.ts";
import { array, asText, asU32, concat, text, u32, u64, writeGguf } from "./gguf_writer.ts";

const FIXTURE = new Uint8Array(
  readFileSync(new URL("../fixtures/gguf/formats.gguf", import.meta.url)),
);

function read(bytes: Uint8Array) {
  return readGgufHeader(new MemorySource("model.gguf", bytes));
}

test("readGgufHeader() reads every metadata type that the Python package writes", async () => {
  const { metadata, version } = await read(FIXTURE);
  expect(version).toBe(3);
  expect(Object.fromEntries(metadata)).toEqual({
    "general.architecture": "llama",
    "test.u8": 255,
    "test.i8": -128,
    "test.u16": 65535,
    "test.i16": -32768,
    "test.u32": 4294967295,
    "test.i32": -2147483648,
    "test.f32": 1.5,
    "test.bool": true,
    "test.string": "naïve 🦙",
    "test.u64": 2n ** 53n + 1n,
    "test.i64": -5,
    "test.f64": 0.1,
    "test.strings": ["", "a", "Ġthe", "日本"],
    "test.ints": new Int32Array([1, -2, 3]),
    "test.floats": new Float32Array([0.5, -0.25]),
    "test.bools": new Uint8Array([1, 0]),
  });
});

test("shapes are row-major and offsets count from the start of the file", async () => {
  const { tensors } = await read(FIXTURE);
  const q8 = tensors.get("q8_0")!;
  expect(q8).toMatchObject({ format: "q8_0", shape: [5, 96], byteLength: 5 * 3 * 34 });
  expect(q8.offset % 32).toBe(0);
});

test("nested arrays, version 2 and a larger alignment are read", async () => {
  const nested = array(9, [array(4, [u32(1), u32(2)]), array(8, [text("x")])]);
  const { metadata, tensors } = await read(writeGguf({
    version: 2,
    alignment: 64,
    metadata: [["general.alignment", asU32(64)], ["nested", [9, nested]]],
    tensors: [{ name: "a", dims: [2n, 3n], offset: 0n }, { name: "b", dims: [], offset: 64n }],
    dataBytes: 128,
  }));
  expect(metadata.get("nested")).toEqual([new Uint32Array([1, 2]), ["x"]]);
  expect(tensors.get("a")!.shape).toEqual([3, 2]);
  expect(tensors.get("b")!.offset - tensors.get("a")!.offset).toBe(64);
});

test("a type that no kernel reads is listed", async () => {
  const { tensors } = await read(writeGguf({
    tensors: [
      { name: "known", dims: [256n], type: 13, offset: 0n },
      { name: "future", dims: [7n], type: 999, offset: 192n },
    ],
    dataBytes: 256,
  }));
  expect(tensors.get("known")).toMatchObject({ format: null, typeName: "Q5_K", byteLength: 176 });
  expect(tensors.get("future")).toMatchObject({ format: null, typeName: "type 999" });
});

test("strings decode as TextDecoder does", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.uint8Array({ maxLength: 60 }),
        fc.string({ unit: "grapheme", maxLength: 20 }).map((word) =>
          new TextEncoder().encode(word)
        ),
      ),
      async (bytes) => {
        const value = concat([u64(BigInt(bytes.length)), bytes]);
        const { metadata } = await read(writeGguf({ metadata: [["k", [8, value]]] }));
        expect(metadata.get("k")).toBe(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes));
      },
    ),
    { numRuns: 2000 },
  );
});

test("only the header of a large file is fetched", async () => {
  const words = Array.from({ length: 60_000 }, (_, i) => text(`token ${i}`));
  const bytes = writeGguf({
    metadata: [["tokens", [8 + 1, array(8, words)]]],
    tensors: [{ name: "a", dims: [1n << 23n], offset: 0n }],
    dataBytes: 32 << 20,
  });
  const source = new MemorySource("big.gguf", bytes);
  let numBytes = 0;
  const { metadata } = await readGgufHeader({
    name: source.name,
    size: source.size,
    read: (start, end) => {
      numBytes += end - start;
      return source.read(start, end);
    },
    close: () => source.close(),
  });
  expect((metadata.get("tokens") as string[])[59_999]).toBe("token 59999");
  expect(numBytes).toBeLessThan(2.2e6);
});

test("a vocabulary of a million strings is quick", async () => {
  const word = text("Ġword");
  const words = new Uint8Array(word.length << 20);
  for (let at = 0; at < words.length; at += word.length) words.set(word, at);
  const bytes = writeGguf({
    metadata: [["tokens", [9, concat([u32(8), u64(1n << 20n), words])]]],
  });
  const startMs = performance.now();
  await read(bytes);
  expect(performance.now() - startMs).toBeLessThan(2000);
});

describe("readGgufHeader() refuses", () => {
  const tensor = (dims: readonly bigint[], rest: { type?: number; offset?: bigint } = {}) =>
    writeGguf({
      tensors: [{ name: "a", dims, offset: rest.offset ?? 0n, type: rest.type ?? 0 }],
      dataBytes: 64,
    });
  const huge = 1n << 60n;
  const cases: [name: string, bytes: Uint8Array, message: RegExp][] = [
    ["an empty file", new Uint8Array(0), /it has 0 bytes/],
    ["another kind of file", writeGguf({ magic: "PK\x03\x04" }), /does not start with "GGUF"/],
    ["version 1", writeGguf({ version: 1 }), /version 1 is not supported/],
    ["the other byte order", writeGguf({ version: 3 << 24 }), /big-endian/],
    ["2^60 tensors", writeGguf({ numTensors: huge }), /claims 1152921504606847000 tensors/],
    ["2^60 metadata entries", writeGguf({ numValues: huge }), /claims 1152921504606847000 meta/],
    [
      "a string longer than the file",
      writeGguf({ metadata: [["k", [8, u64(huge)]]] }),
      /characters/,
    ],
    [
      "a string length of 2^64-1",
      writeGguf({ metadata: [["k", [8, u64(~0n & (2n ** 64n - 1n))]]] }),
      /characters/,
    ],
    [
      "an array of 2^60",
      writeGguf({ metadata: [["k", [9, concat([u32(4), u64(huge)])]]] }),
      /numbers in "k"/,
    ],
    [
      "a string array of 2^60",
      writeGguf({ metadata: [["k", [9, concat([u32(8), u64(huge)])]]] }),
      /strings in "k"/,
    ],
    [
      "deep nesting",
      writeGguf({
        metadata: [["k", [9, concat(Array.from({ length: 9 }, () => concat([u32(9), u64(1n)])))]]],
      }),
      /more than 4 deep/,
    ],
    [
      "a million nested arrays",
      writeGguf({
        metadata: [["k", [9, array(9, Array.from({ length: 1e6 }, () => array(4, [])))]]],
      }),
      /too many strings and arrays/,
    ],
    [
      "an unknown value type",
      writeGguf({ metadata: [["k", [77, u32(0)]]] }),
      /unknown value type 77/,
    ],
    [
      "an unknown array type",
      writeGguf({ metadata: [["k", [9, array(77, [])]]] }),
      /unknown type 77/,
    ],
    [
      "a key twice",
      writeGguf({ metadata: [["k", asU32(1)], ["k", asU32(2)]] }),
      /"k" is there twice/,
    ],
    ["an endless key", writeGguf({ metadata: [["k".repeat(5000), asU32(1)]] }), /name has 5000/],
    [
      "an alignment of 0",
      writeGguf({ metadata: [["general.alignment", asU32(0)]] }),
      /power of two/,
    ],
    [
      "an alignment of 48",
      writeGguf({ metadata: [["general.alignment", asU32(48)]] }),
      /power of two/,
    ],
    [
      "an alignment of text",
      writeGguf({ metadata: [["general.alignment", asText("x")]] }),
      /power of two/,
    ],
    ["five dimensions", tensor([1n, 1n, 1n, 1n, 1n]), /has 5 dimensions/],
    ["a product that overflows", tensor([1n << 31n, 1n << 31n]), /impossible shape/],
    ["a product that wraps to 0", tensor([1n << 32n, 1n << 32n]), /impossible shape/],
    ["a product behind a zero", tensor([0n, huge]), /impossible shape/],
    ["bytes that overflow", tensor([1n << 52n]), /has 18014398509481984 bytes/],
    ["a row that splits a block", tensor([33n], { type: 8 }), /no whole blocks of Q8_0/],
    ["an offset off the grid", tensor([1n], { offset: 4n }), /no multiple of 32/],
    ["an offset that wraps", tensor([1n], { offset: 2n ** 64n - 32n }), /no multiple|bytes/],
    ["an offset beyond the file", tensor([1n], { offset: 4096n }), /ends at byte/],
    ["a tensor beyond the file", tensor([17n]), /ends at byte/],
    [
      "overlap",
      writeGguf({
        tensors: [{ name: "a", dims: [9n], offset: 0n }, { name: "b", dims: [1n], offset: 32n }],
        dataBytes: 64,
      }),
      /"a" and "b" overlap/,
    ],
    [
      "a tensor twice",
      writeGguf({
        tensors: [{ name: "a", dims: [1n], offset: 0n }, { name: "a", dims: [1n], offset: 32n }],
        dataBytes: 64,
      }),
      /"a" is there twice/,
    ],
    ["a cut header", FIXTURE.slice(0, 300), /ends inside its header|claims/],
    ["cut tensors", FIXTURE.slice(0, FIXTURE.length - 100), /ends at byte/],
  ];
  test.each(cases)("%s", async (_name, bytes, message) => {
    const startMs = performance.now();
    const failure = await read(bytes).then(() => null, (error: unknown) => error);
    expect(failure).toBeInstanceOf(FormatError);
    expect((failure as FormatError).message).toMatch(/^Cannot read "model.gguf": /);
    expect((failure as FormatError).message).toMatch(message);
    expect(performance.now() - startMs).toBeLessThan(2000);
  });
});

test("a damaged header is read or refused, and nothing else", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(900), fc.nat(255)), { minLength: 1, maxLength: 8 }),
      fc.nat(FIXTURE.length),
      async (changes, cut) => {
        const bytes = FIXTURE.slice(0, cut % 3 === 0 ? cut : FIXTURE.length);
        for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte;
        const startMs = performance.now();
        await read(bytes).catch((error) => expect(error).toBeInstanceOf(FormatError));
        expect(performance.now() - startMs).toBeLessThan(2000);
      },
    ),
    { numRuns: 2000 },
  );
});
