import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { waitUntilDrained } from "../../src/mesh/back_pressure.ts";
import { readCandidateType } from "../../src/mesh/candidate_type.ts";
import { KeepAlive } from "../../src/mesh/keep_alive.ts";
import { encodeLinkMessage, parseLinkMessage } from "../../src/mesh/link_message.ts";
import { memoryLinkPair } from "../../src/mesh/memory_link.ts";
import { parseRtcSignal } from "../../src/mesh/rtc_signal.ts";
import { ManualClock } from "../server/clocks.ts";

describe("messages of a link", () => {
  test("are parsed to what was encoded", () => {
    const bytes = (length: number) => new Uint8Array(length).fill(171);
    for (
      const message of [
        { type: "hello", publicKey: bytes(32), nonce: bytes(32) },
        { type: "proof", signature: bytes(64) },
        { type: "user", message: { type: "bye", reason: [1, null] } },
        { type: "ping", id: 7 },
        { type: "pong", id: 7 },
        { type: "bye", reason: "Leaving" },
      ] as const
    ) {
      expect(parseLinkMessage(encodeLinkMessage(message))).toEqual(message);
    }
  });

  test("that are none give null, whatever they are", () => {
    const { publicKey, nonce } = { publicKey: "ab".repeat(32), nonce: "AB".repeat(32) };
    for (
      const text of [
        ...["", "{", "null", "5", "[]", '{"type":"x"}', '{"type":"ping"}', '{"type":"bye"}'],
        JSON.stringify({ type: "hello", publicKey, nonce }),
        JSON.stringify({ type: "proof", signature: "ab" }),
        ...[null, 5, new ArrayBuffer(4), `"${"x".repeat(256 * 1024)}"`],
      ]
    ) {
      expect(parseLinkMessage(text)).toBeNull();
    }
    fc.assert(fc.property(fc.json(), (text) => void parseLinkMessage(text)));
    expect(parseLinkMessage('{"type":"bye","reason":"' + "x".repeat(9_000) + '"}')).toEqual({
      type: "bye",
      reason: "x".repeat(500),
    });
  });
});

test("signals that are none give null, and candidates are written as libwebrtc wants them", () => {
  fc.assert(fc.property(fc.anything(), (signal) => void parseRtcSignal(signal)));
  for (
    const signal of [
      { type: "renegotiate", renegotiate: true },
      { type: "offer" },
      { type: "offer", sdp: "x".repeat(40_000) },
      { type: "candidate", candidate: { candidate: "x", sdpMid: 0 } },
      { type: "candidate", candidate: { candidate: "x".repeat(2_000), sdpMid: "0" } },
      { type: "candidate" },
    ]
  ) {
    expect(parseRtcSignal(signal)).toBeNull();
  }
  expect(parseRtcSignal({ type: "offer", sdp: "v=0", more: 1 })).toEqual({
    type: "offer",
    sdp: "v=0",
  });
  const candidate = { candidate: "a=candidate:1", sdpMid: "0", sdpMLineIndex: null, more: 1 };
  expect(parseRtcSignal({ type: "candidate", candidate })).toEqual({
    type: "candidate",
    candidate: { candidate: "candidate:1", sdpMid: "0", sdpMLineIndex: 0 },
  });
});

describe("KeepAlive", () => {
  const start = () => {
    const clock = new ManualClock();
    const pings: number[] = [];
    const keepAlive = new KeepAlive({ clock, sendPing: (id) => pings.push(id) });
    const aborting = new AbortController();
    let isOver = false;
    keepAlive.run(aborting.signal, () => {}).then(() => isOver = true, () => {});
    const pass = async (ms: number) => {
      clock.advance(ms);
      for (let i = 0; i < 5; i++) await Promise.resolve();
    };
    return { clock, pings, keepAlive, pass, aborting, isOver: () => isOver };
  };

  test("pings each 500 ms and gives up after 2.5 s of silence", async () => {
    const { pings, pass, isOver } = start();
    for (let i = 0; i < 4; i++) await pass(500);
    expect(pings).toEqual([1, 2, 3, 4, 5]);
    expect(isOver()).toBe(false);
    await pass(500);
    expect(isOver()).toBe(true);
    expect(pings).toHaveLength(5);
  });

  test("goes on as long as anything is heard", async () => {
    const { keepAlive, pass, isOver } = start();
    for (let i = 0; i < 20; i++) {
      if (i % 4 === 0) keepAlive.hear();
      await pass(500);
    }
    expect(isOver()).toBe(false);
  });

  test("does not take its own standing still for silence of the other side", async () => {
    const { pass, isOver } = start();
    await pass(60_000);
    expect(isOver()).toBe(false);
    await pass(500);
    await pass(500);
    expect(isOver()).toBe(false);
    await pass(500);
    expect(isOver()).toBe(true);
  });

  test("measures the round trip of the latest ping alone", async () => {
    const { clock, keepAlive, pass } = start();
    expect(keepAlive.rttMs).toBeNull();
    clock.advance(30);
    keepAlive.hearPong(1);
    expect(keepAlive.rttMs).toBe(30);
    await pass(470);
    clock.advance(90);
    keepAlive.hearPong(1);
    expect(keepAlive.rttMs).toBe(30);
    keepAlive.hearPong(2);
    expect(keepAlive.rttMs).toBe(90);
  });
});

describe("waitUntilDrained()", () => {
  const options = () => ({ clock: new ManualClock(), signal: new AbortController().signal });
  const settle = async () => {
    for (let i = 0; i < 5; i++) await Promise.resolve();
  };

  test("resolves with the event, and by looking where the event does not come", async () => {
    for (const hasEvent of [true, false]) {
      const channel = Object.assign(new EventTarget(), { bufferedAmount: 2_000_000 });
      const { clock, signal } = options();
      let outcome: boolean | null = null;
      waitUntilDrained(channel, { clock, signal }).then((drained) => outcome = drained);
      clock.advance(4);
      await settle();
      channel.bufferedAmount = 256 * 1024;
      if (hasEvent) channel.dispatchEvent(new Event("bufferedamountlow"));
      else clock.advance(4);
      await settle();
      expect(outcome).toBe(true);
    }
  });

  test("gives up after 10 s, and when the link closes", async () => {
    const channel = Object.assign(new EventTarget(), { bufferedAmount: 2_000_000 });
    const { clock, signal } = options();
    const drained = waitUntilDrained(channel, { clock, signal });
    clock.advance(9_999);
    await settle();
    clock.advance(4);
    expect(await drained).toBe(false);

    const closing = new AbortController();
    const waiting = waitUntilDrained(channel, { clock, signal: closing.signal });
    closing.abort(new Error("Closed"));
    await expect(waiting).rejects.toThrow("Closed");
  });
});

test("the candidate type is that of the selected pair's local end", async () => {
  const local = { id: "l", type: "local-candidate", candidateType: "relay" };
  const other = { id: "o", type: "local-candidate", candidateType: "host" };
  const pairs = [
    { id: "p", type: "candidate-pair", localCandidateId: "l", selected: true },
    { id: "q", type: "candidate-pair", localCandidateId: "o" },
  ];
  const transport = { id: "t", type: "transport", selectedCandidatePairId: "q" };
  const read = (entries: readonly { id: string }[]) =>
    readCandidateType({
      getStats: () => Promise.resolve(new Map(entries.map((entry) => [entry.id, entry]))),
    });
  expect(await read([local, other, ...pairs])).toBe("relay");
  expect(await read([local, other, ...pairs, transport])).toBe("host");
  expect(await read([transport])).toBe("unknown");
  expect(await readCandidateType({ getStats: () => Promise.reject(new Error()) })).toBe("unknown");
});

test("a delayed MemoryLink delivers when its time has come", async () => {
  const clock = new ManualClock();
  const { a, b } = memoryLinkPair({ clock, a: "a", b: "b", delayMs: 20 });
  const heard: unknown[] = [];
  b.listen({ onControl: (message) => heard.push(message) });
  expect([a.peerId, b.peerId]).toEqual(["b", "a"]);
  a.sendControl("first");
  const settle = async () => {
    for (let i = 0; i < 20; i++) await Promise.resolve();
  };
  clock.advance(19);
  await settle();
  expect(heard).toEqual([]);
  clock.advance(1);
  await settle();
  expect(heard).toEqual(["first"]);
  expect(a.stats.candidateType).toBe("memory");
});
