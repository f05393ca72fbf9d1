import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseShardManifest } from "../../src/weights/parse_shard_manifest.ts";

const TENSOR = {
  name: "w",
  format: "q8_0",
  shape: [2, 64],
  offset: 100,
  byteLength: 2 * 2 * 34,
  file: 0,
};
const FILE = { key: "ab".repeat(32), sizeBytes: 236, urls: ["https://a.example/f"] };
const MANIFEST = {
  name: "m",
  hfConfig: { model_type: "llama" },
  files: [FILE],
  tensors: [TENSOR],
};

function withTensor(change: Record<string, unknown>): unknown {
  return { ...MANIFEST, tensors: [{ ...TENSOR, ...change }] };
}

function withFile(change: Record<string, unknown>): unknown {
  return { ...MANIFEST, files: [{ ...FILE, ...change }] };
}

/** An object in an object in an object. */
function nested(depth: number): Record<string, unknown> {
  let value: Record<string, unknown> = {};
  for (let i = 0; i < depth; i++) value = { value };
  return value;
}

describe("parseShardManifest()", () => {
  test("takes what a coordinator sends, after JSON", () => {
    expect(parseShardManifest(JSON.parse(JSON.stringify(MANIFEST)))).toEqual(MANIFEST);
    expect(parseShardManifest({ ...MANIFEST, tensors: [], files: [] })).not.toBeNull();
    const scalar = withTensor({ format: "f32", shape: [], byteLength: 4 });
    expect(parseShardManifest(scalar)).not.toBeNull();
  });

  test.each([
    ["null", null],
    ["a list", []],
    ["more fields", { ...MANIFEST, more: 1 }],
    ["a tensor behind its file", withTensor({ offset: 101 })],
    ["a tensor of another length than its shape", withTensor({ byteLength: 135 })],
    ["a shape that splits blocks", withTensor({ shape: [128, 1] })],
    ["a shape whose product overflows", withTensor({ shape: [2 ** 40, 2 ** 40, 0] })],
    ["a negative offset", withTensor({ offset: -1 })],
    ["an offset that is no integer", withTensor({ offset: 0.5 })],
    ["an offset beyond safe integers", withTensor({ offset: 2 ** 53 })],
    ["an unknown format", withTensor({ format: "q9_9" })],
    ["a format that every object has", withTensor({ format: "constructor" })],
    ["a file that is not listed", withTensor({ file: 1 })],
    ["a name twice", { ...MANIFEST, tensors: [TENSOR, TENSOR] }],
    ["no name", withTensor({ name: "" })],
    ["a key that is no hash", withFile({ key: "../../x" })],
    ["a key in capitals", withFile({ key: "AB".repeat(32) })],
    ["a URL of another protocol", withFile({ urls: ["file:///etc/passwd"] })],
    ["plain HTTP to elsewhere", withFile({ urls: ["http://10.0.0.1/f"] })],
    ["a host that only looks like this machine", withFile({ urls: ["http://127.0.0.1.evil/f"] })],
    ["a password in a URL", withFile({ urls: ["https://u:p@a.example/f"] })],
    ["nine URLs", withFile({ urls: Array(9).fill(FILE.urls[0]) })],
    ["a configuration that is a list", { ...MANIFEST, hfConfig: [] }],
    ["a configuration of 2 MiB", { ...MANIFEST, hfConfig: { x: "y".repeat(2 ** 21) } }],
    ["a configuration nested without end", { ...MANIFEST, hfConfig: nested(200_000) }],
    ["4,097 files", { ...MANIFEST, files: Array(4097).fill(FILE) }],
    ["65,537 tensors", { ...MANIFEST, tensors: Array(65_537).fill(TENSOR) }],
  ])("refuses %s", (_, value) => {
    expect(parseShardManifest(value)).toBeNull();
  });

  test("no URL may lead to this machine or its network", () => {
    const hosts = [
      ...["localhost", "127.0.0.1:8000", "[::1]:80", "0.0.0.0", "10.1.2.3", "172.31.0.1"],
      ...["192.168.1.1", "169.254.169.254", "100.64.0.1", "[fd00::1]", "[fe80::1]", "nas.local"],
      ...["[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "metadata.google.internal", "LOCALHOST."],
    ];
    for (const host of hosts) {
      expect(parseShardManifest(withFile({ urls: [`https://${host}/f`] })), host).toBeNull();
    }
    for (const host of ["a.example", "172.32.0.1", "8.8.8.8:8443", "[2606:4700::1]"]) {
      expect(parseShardManifest(withFile({ urls: [`https://${host}/f`] })), host).not.toBeNull();
    }
  });

  test("never throws, and what it takes holds together", () => {
    const number = fc.oneof(fc.nat(300), fc.constantFrom(-1, 0.5, NaN, 2 ** 53, 2 ** 60));
    const mutant = fc.record({
      name: fc.constantFrom("m", 5),
      hfConfig: fc.oneof(fc.constant({}), fc.anything()),
      files: fc.array(
        fc.record({ key: fc.constant(FILE.key), sizeBytes: number, urls: fc.constant([]) }),
      ),
      tensors: fc.array(fc.record({
        name: fc.string(),
        format: fc.constantFrom("f32", "q4_0", "x"),
        shape: fc.array(number, { maxLength: 3 }),
        offset: number,
        byteLength: number,
        file: fc.oneof(fc.nat(3), number),
      })),
    });
    fc.assert(fc.property(fc.oneof(mutant, fc.anything()), (value) => {
      const manifest = parseShardManifest(value);
      for (const { file, offset, byteLength } of manifest?.tensors ?? []) {
        expect(offset + byteLength).toBeLessThanOrEqual(manifest!.files[file]!.sizeBytes);
      }
    }));
  });
});
