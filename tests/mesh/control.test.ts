import { describe, expect, test } from "vitest";
import fc from "fast-check";
import { clipReason, PROTOCOL } from "../../src/mesh/control.ts";
import { parseCoordinatorControl, parsePeerControl } from "../../src/mesh/parse_control.ts";

const PEER = "0123456789abcdef".repeat(2);
const LOAD = { loadedBytes: 1, totalBytes: 2, downloadedBytes: 0 };

const FROM_PEER: readonly Record<string, unknown>[] = [
  {
    type: "join",
    ...{ protocol: PROTOCOL, name: "Ada's laptop", version: "0.3.0", memoryBytes: 4e9 },
    device: {
      ...{ adapterName: "Some GPU", backend: "browser", isSoftware: false, hasF16: true },
      ...{ subgroupSize: 32, maxBindingBytes: 1 << 30, usesF16Kv: true },
      ...{ readGBps: 81.5, matmulGflops: 900 },
    },
    heldFiles: [{ key: "00112233", bytes: 5 }],
    isPaused: false,
  },
  { type: "load-progress", epoch: 1, load: LOAD },
  { type: "ready", epoch: 1, load: LOAD, memoryBytes: 7 },
  {
    ...{ type: "load-failed", epoch: 1, reason: "The device is out of memory" },
    ...{ isOutOfMemory: true, loadedBytes: 5 },
  },
  { type: "stage-lost", epoch: 1, reason: "Its neighbour left" },
  { type: "step-failed", epoch: 1, stepId: 4, reason: "Out of luck" },
  { type: "pause" },
  { type: "resume" },
  {
    ...{ type: "stats", numTokens: 5, numSteps: 2, busyMs: 1.5, numRefused: 1 },
    links: [{
      ...{ to: PEER, rttMs: null, candidateType: "relay", bytesIn: 0, bytesOut: 9 },
      bufferedBytes: 0,
    }],
  },
  { type: "read", id: 1, fileKey: "abcdef0123", start: 0, end: 2 ** 40 },
];

const FROM_COORDINATOR: readonly Record<string, unknown>[] = [
  { type: "welcome", protocol: PROTOCOL, name: "Office", version: "0.3.0", model: "SmolLM2" },
  { type: "refuse", reason: "Another version" },
  {
    ...{ type: "load", epoch: 3, manifestKey: "ab".repeat(32), manifestBytes: 400 },
    shard: { startLayer: 0, endLayer: 4, hasEmbedding: true, hasHead: false },
    limits: {
      ...{ numBlocks: 4, maxModelLength: 64, maxBatchTokens: 64, maxSequences: 1 },
      ...{ maxSamples: 64, numSavedStates: 8 },
    },
    ...{ isDeterministic: null, useF16Kv: true, hiddenType: "f16", previous: null, next: PEER },
  },
  { type: "unload", reason: "Others hold its layers now" },
  { type: "read-failed", id: 1, reason: "No such file" },
];

const PARSERS = [
  { name: "parsePeerControl()", parse: parsePeerControl, messages: FROM_PEER },
  { name: "parseCoordinatorControl()", parse: parseCoordinatorControl, messages: FROM_COORDINATOR },
] as const;

for (const { name, parse, messages } of PARSERS) {
  describe(name, () => {
    test("reads every message as it was sent, without what it does not know", () => {
      for (const message of messages) {
        expect(parse(JSON.parse(JSON.stringify(message)))).toEqual(message);
        expect(parse({ ...message, extra: 1 })).toEqual(message);
      }
    });

    test("reads no message that lacks a field or has one of another kind", () => {
      for (const message of messages) {
        for (const field of Object.keys(message)) {
          const { [field]: _, ...rest } = message;
          expect(parse(rest), `${message.type} without ${field}`).toBe(null);
          expect(parse({ ...message, [field]: { toString: "x" } })).toBe(null);
          expect(parse({ ...message, [field]: -1 })).toBe(null);
        }
      }
    });

    test("gives null or a message for whatever JSON there is", () => {
      const types = messages.map(({ type }) => type);
      fc.assert(fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        const message = parse(value);
        expect(message === null || types.includes(message.type)).toBe(true);
      }));
      const template = fc.constantFrom(...messages);
      fc.assert(fc.property(template, fc.nat(), fc.jsonValue(), (message, choice, value) => {
        const fields = Object.keys(message);
        const changed = { ...message, [fields[choice % fields.length]!]: value };
        const parsed = parse(JSON.parse(JSON.stringify(changed)));
        expect(parsed === null || types.includes(parsed.type)).toBe(true);
      }));
    });
  });
}

test("a coordinator that says nothing about saved states has none", () => {
  const order = FROM_COORDINATOR.find(({ type }) => type === "load")!;
  const { numSavedStates, ...limits } = order["limits"] as Record<string, number>;
  expect(numSavedStates).toBe(8);
  expect(parseCoordinatorControl({ ...order, limits }))
    .toMatchObject({ limits: { ...limits, numSavedStates: 0 } });
});

test("texts of a peer cannot move a terminal's cursor", () => {
  const reason = "bad\u001b[2J\r\nluck\u0000 \u009b1m ümläut 👩‍👩‍👧";
  expect(parsePeerControl({ type: "stage-lost", epoch: 1, reason })).toEqual({
    type: "stage-lost",
    epoch: 1,
    reason: "bad [2J luck   1m ümläut 👩‍👩‍👧",
  });
});

test("a reason of any length fits a message once it is clipped", () => {
  const reason = "x".repeat(10_000);
  expect(parsePeerControl({ type: "stage-lost", epoch: 1, reason })).toBe(null);
  expect(parsePeerControl({ type: "stage-lost", epoch: 1, reason: clipReason(reason) }))
    .not.toBe(null);
});
