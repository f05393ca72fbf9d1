import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FormatError } from "../../src/formats/format_error.ts";
import { readSafetensorsHeader } from "../../src/formats/safetensors.ts";
import { MemorySource } from "../../src/weights/memory_source.ts";

const FIXTURE = new Uint8Array(
  readFileSync(new URL("../fixtures/gguf/formats.safetensors", import.meta.url)),
);

function file(header: string, dataBytes = 0): Uint8Array {
  const json = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

function read(bytes: Uint8Array) {
  return readSafetensorsHeader(new MemorySource("model.safetensors", bytes));
}

test("readSafetensorsHeader() lists what the Python package wrote", async () => {
  const { metadata, tensors } = await read(FIXTURE);
  expect(metadata.get("made by")).toBe("generate.py");
  expect(tensors.get("plain.f16")).toMatchObject({ format: "f16", shape: [1, 3], byteLength: 6 });
  expect(tensors.get("plain.i64")).toMatchObject({ format: null, typeName: "I64" });
  expect(tensors.get("plain.empty")).toMatchObject({ shape: [0, 4], byteLength: 0 });
  expect(tensors.get("plain.scalar")).toMatchObject({ shape: [], byteLength: 4 });
});

describe("readSafetensorsHeader() refuses", () => {
  const tensor = (fields: string) => file(`{"a":{${fields}}}`, 8);
  const cases: [name: string, bytes: Uint8Array, message: RegExp][] = [
    ["an empty file", new Uint8Array(0), /it has 0 bytes/],
    [
      "a header longer than the file",
      new Uint8Array([9, 0, 0, 0, 0, 0, 0, 0, 1]),
      /claims 9 bytes/,
    ],
    ["a header of 2^63 bytes", new Uint8Array([0, 0, 0, 0, 0, 0, 0, 128]), /claims 922337/],
    ["text that is no JSON", file("{"), /not JSON/],
    ["bytes that are no UTF-8", new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0, 255]), /not JSON/],
    ["a list", file("[]"), /no JSON object/],
    ["deep nesting", file("[".repeat(1e6)), /nested 1000000 deep/],
    [
      "millions of values",
      file(`{"a":[${"1,".repeat(3e6)}1]}`),
      /with 1 entries of 3000003 values/,
    ],
    ["a tensor that is no object", file('{"a":3}'), /"a" is no JSON object/],
    ["an unknown type", tensor('"dtype":"F31","shape":[2],"data_offsets":[0,8]'), /"F31"/],
    [
      "a type from the prototype",
      tensor('"dtype":"toString","shape":[],"data_offsets":[0,8]'),
      /type/,
    ],
    [
      "a negative size",
      tensor('"dtype":"F32","shape":[-2],"data_offsets":[0,8]'),
      /no list of sizes/,
    ],
    ["a fraction", tensor('"dtype":"F32","shape":[1.5],"data_offsets":[0,8]'), /no list of sizes/],
    [
      "a product that overflows",
      tensor('"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]'),
      /impossible shape/,
    ],
    [
      "a product that overflows behind a zero",
      tensor('"dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0]'),
      /impossible shape/,
    ],
    ["no offsets", tensor('"dtype":"F32","shape":[2]'), /no pair of offsets/],
    ["offsets in reverse", tensor('"dtype":"F32","shape":[2],"data_offsets":[8,0]'), /lies at/],
    [
      "offsets beyond the file",
      tensor('"dtype":"F32","shape":[2],"data_offsets":[8,16]'),
      /lies at/,
    ],
    ["a wrong size", tensor('"dtype":"F32","shape":[3],"data_offsets":[0,8]'), /takes 12/],
    ["a hole", tensor('"dtype":"F32","shape":[1],"data_offsets":[0,4]'), /its tensors fill/],
    [
      "overlap",
      file(
        '{"a":{"dtype":"U8","shape":[6],"data_offsets":[0,6]},' +
          '"b":{"dtype":"U8","shape":[6],"data_offsets":[2,8]}}',
        8,
      ),
      /"a" and "b" overlap/,
    ],
    [
      "the same name twice",
      file(
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},' +
          '"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        4,
      ),
      /names a tensor twice/,
    ],
    ["an endless name", file(`{"${"x".repeat(5000)}":{}}`), /name of 5000 characters/],
  ];
  test.each(cases)("%s", async (_name, bytes, message) => {
    const failure = await read(bytes).then(() => null, (error: unknown) => error);
    expect(failure).toBeInstanceOf(FormatError);
    expect((failure as FormatError).message).toMatch(/^Cannot read "model.safetensors": /);
    expect((failure as FormatError).message).toMatch(message);
    expect((failure as FormatError).message.length).toBeLessThan(1000);
  });
});

test("a damaged header is read or refused, and nothing else", async () => {
  const headerEnd = 8 + new DataView(FIXTURE.buffer).getUint32(0, true);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(headerEnd - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
      fc.nat(FIXTURE.length),
      async (changes, cut) => {
        const bytes = FIXTURE.slice(0, cut % 3 === 0 ? cut : FIXTURE.length);
        for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte;
        const startMs = performance.now();
        await read(bytes).catch((error) => expect(error).toBeInstanceOf(FormatError));
        expect(performance.now() - startMs).toBeLessThan(2000);
      },
    ),
    { numRuns: 1000 },
  );
});
