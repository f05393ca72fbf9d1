import { afterEach, describe, expect, test } from "vitest";
import type { PeerControl } from "../../src/mesh/control.ts";
import { parsePeerControl } from "../../src/mesh/parse_control.ts";
import { type MemoryLinkPair, memoryLinkPair } from "../../src/mesh/memory_link.ts";
import {
  type FileRange,
  MAX_READ_BYTES,
  WeightReadError,
  WeightReads,
  WeightServing,
} from "../../src/mesh/weight_reads.ts";
import { clockAt, quickClock } from "../cluster/quick_clock.ts";
import { settle } from "../pipeline/hash_chain.ts";

/** A minute in a tenth of a second; too fast for a link. */
const hastyClock = clockAt(600);

const KEY = "0123456789abcdef";

/** Any file: a byte says where it is from. */
function bytesAt({ start, end }: FileRange): Uint8Array {
  return Uint8Array.from({ length: end - start }, (_, i) => ((start + i) * 31) >> 3);
}

/** Megabytes at a time: toEqual() would take seconds. */
function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

let pair: MemoryLinkPair;
afterEach(() => pair.a.close("The test is over"));

/** A peer that reads, and its coordinator. `readFile` null answers nothing. */
function connect(readFile: ((key: string, range: FileRange) => Promise<Uint8Array>) | null) {
  pair = memoryLinkPair({ clock: quickClock, a: "peer", b: "coordinator" });
  pair.a.allowPayload(MAX_READ_BYTES);
  const requests: Extract<PeerControl, { type: "read" }>[] = [];
  const serving = readFile && new WeightServing(pair.b, readFile);
  pair.b.listen({
    onControl: (value) => {
      const message = parsePeerControl(value);
      if (message?.type !== "read") throw new Error("Not a read");
      requests.push(message);
      serving?.take(message);
    },
  });
  const reads = new WeightReads(pair.a, hastyClock);
  pair.a.listen({
    onControl: (value) => {
      const { type, id, reason } = value as { type: string; id: number; reason: string };
      if (type === "read-failed") reads.fail(id, reason);
    },
  });
  return { reads, requests };
}

describe("reading a file of the coordinator", () => {
  test("ranges of any length come whole and in order, in reads of at most 8 MiB", async () => {
    const { reads, requests } = connect((_, range) => Promise.resolve(bytesAt(range)));
    const ranges = [[5, 6], [0, MAX_READ_BYTES], [3, 2 * MAX_READ_BYTES + 100]] as const;
    for (const [start, end] of ranges) {
      const bytes = await reads.read(KEY, { start, end });
      expect(isSame(bytes, bytesAt({ start, end }))).toBe(true);
    }
    expect(requests.map(({ start, end }) => end - start))
      .toEqual([1, MAX_READ_BYTES, MAX_READ_BYTES, MAX_READ_BYTES, 97]);
    expect(await reads.read(KEY, { start: 9, end: 9 })).toEqual(new Uint8Array(0));
    expect(requests).toHaveLength(5);
  });

  test("a refusal has the coordinator's reason, cut to what a message holds", async () => {
    const { reads } = connect((key) => Promise.reject(new RangeError(`No file "${key}"`)));
    await expect(reads.read(KEY, { start: 0, end: 1 })).rejects.toThrow(
      new WeightReadError(`The coordinator sent no weights: No file "${KEY}"`),
    );
    pair.a.close("Next");
    const verbose = connect(() => Promise.reject(new Error("why ".repeat(5_000))));
    await expect(verbose.reads.read(KEY, { start: 0, end: 1 })).rejects.toThrow(/why why/);
  });

  test("bytes that are too few are refused", async () => {
    const { reads } = connect(() => Promise.resolve(new Uint8Array(3)));
    await expect(reads.read(KEY, { start: 0, end: 4 })).rejects.toThrow(
      new WeightReadError("3 bytes came instead of 4"),
    );
  });

  test("a link that closes ends the reads that wait, and those to come", async () => {
    const { reads } = connect(null);
    const waiting = [0, 1, 2].map((start) => reads.read(KEY, { start, end: start + 1 }));
    const outcomes = Promise.allSettled(waiting);
    await settle();
    pair.b.close("Stopped by its owner");
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({
        status: "rejected",
        reason: { message: "The coordinator sent no weights: Stopped by its owner" },
      });
    }
    await expect(reads.read(KEY, { start: 0, end: 1 })).rejects.toThrow(
      new WeightReadError("The link is closed: Stopped by its owner"),
    );
  });

  test("silence ends a read; answers to others keep it alive", async () => {
    const { reads, requests } = connect(null);
    const outcomes = Promise.allSettled(
      [0, 1].map((start) => reads.read(KEY, { start, end: start + 1 })),
    );
    await hastyClock.sleep(45_000);
    const startMs = hastyClock.now();
    const { id } = requests[0]!;
    const payload = bytesAt({ start: 0, end: 1 });
    const head = { epoch: 0, position: 0, numTokens: 0, dtype: "none" } as const;
    await pair.b.sendFrame({ ...head, type: "weights", sequence: id, payload }, "bulk");
    const [first, second] = await outcomes;
    expect(first).toEqual({ status: "fulfilled", value: payload });
    expect(second).toMatchObject({
      status: "rejected",
      reason: { message: "The coordinator sent no weights: nothing came within 60000 ms" },
    });
    expect(hastyClock.now() - startMs).toBeGreaterThan(59_000);
  });

  test("answers to nothing are passed over", async () => {
    const { reads } = connect((_, range) => Promise.resolve(bytesAt(range)));
    reads.fail(77, "Nobody asked");
    const head = { epoch: 0, position: 0, numTokens: 0, dtype: "none" } as const;
    const payload = new Uint8Array(1);
    await pair.b.sendFrame({ ...head, type: "weights", sequence: 1, payload }, "bulk");
    await settle();
    expect(await reads.read(KEY, { start: 4, end: 8 })).toEqual(bytesAt({ start: 4, end: 8 }));
  });
});

describe("serving a peer", () => {
  test("two reads at a time, in order; the queue has an end", async () => {
    const started: number[] = [];
    const gates: (() => void)[] = [];
    const { reads } = connect(async (_, range) => {
      started.push(range.start);
      await new Promise<void>((resolve) => gates.push(resolve));
      return bytesAt(range);
    });
    const outcomes = Promise.allSettled(
      Array.from({ length: 70 }, (_, start) => reads.read(KEY, { start, end: start + 1 })),
    );
    await settle();
    expect(started).toEqual([0, 1]);
    while (started.length < 66 || gates.length > 0) {
      gates.shift()?.();
      await settle();
    }
    const settled = await outcomes;
    expect(started).toEqual(Array.from({ length: 66 }, (_, i) => i));
    expect(settled.filter(({ status }) => status === "fulfilled")).toHaveLength(66);
    expect(settled[69]).toMatchObject({
      reason: { message: "The coordinator sent no weights: more than 64 reads are waiting" },
    });
  });

  test("ranges that are none are refused without a look at the file", async () => {
    let numLooks = 0;
    pair = memoryLinkPair({ clock: quickClock, a: "peer", b: "coordinator" });
    const serving = new WeightServing(pair.b, () => {
      numLooks++;
      return Promise.resolve(new Uint8Array(0));
    });
    const answers: unknown[] = [];
    pair.a.listen({ onControl: (value) => answers.push(value) });
    for (const [start, end] of [[5, 5], [5, 4], [0, MAX_READ_BYTES + 1]] as const) {
      serving.take({ type: "read", id: answers.length, fileKey: KEY, start, end });
    }
    await settle();
    await settle();
    expect(answers).toHaveLength(3);
    expect(answers[1]).toMatchObject({
      type: "read-failed",
      reason: "[5, 4) is no range of up to 8388608 bytes",
    });
    expect(numLooks).toBe(0);
  });

  test("a peer that is gone is read for no longer", async () => {
    const gates: (() => void)[] = [];
    let numStarted = 0;
    const { reads } = connect(async (_, range) => {
      numStarted++;
      await new Promise<void>((resolve) => gates.push(resolve));
      return bytesAt(range);
    });
    const outcomes = Promise.allSettled(
      Array.from({ length: 10 }, (_, start) => reads.read(KEY, { start, end: start + 1 })),
    );
    await settle();
    pair.a.close("Left");
    await outcomes;
    await settle();
    for (const open of gates) open();
    await settle();
    expect(numStarted).toBe(2);
  });
});
