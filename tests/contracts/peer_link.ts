/** What every PeerLink does. Call from a test file with a way to make both ends of one. */
import { afterEach, describe, expect, test } from "vitest";
import type { Frame } from "../../src/mesh/frame.ts";
import { LinkClosedError, type LinkListener, type PeerLink } from "../../src/mesh/peer_link.ts";

/** Both ends of an open link. */
export interface LinkPair {
  readonly a: PeerLink;
  readonly b: PeerLink;
  /** From now on nothing arrives any more, and nobody is told. */
  cut(): void;
}

/** With `isHasty`, the link's clock runs faster than ours. `cut()` is needed only with it. */
export type MakeLinkPair = (options: { readonly isHasty: boolean }) => Promise<LinkPair>;

export function peerLinkContract(name: string, makePair: MakeLinkPair): void {
  describe(`${name} as a PeerLink`, () => {
    const open: PeerLink[] = [];
    const connect = async (isHasty = false) => {
      const pair = await makePair({ isHasty });
      open.push(pair.a, pair.b);
      return pair;
    };
    afterEach(() => {
      for (const link of open.splice(0)) link.close("The test is over");
    });

    test("control messages arrive as they were sent, in order, both ways", async () => {
      const { a, b } = await connect();
      const atA = new Inbox(a);
      const atB = new Inbox(b);
      const messages = [{ type: "plan", layers: [0, 7], name: "é\u0000😀" }, null, "text", 4.5, []];
      for (const message of messages) a.sendControl(message);
      b.sendControl({ n: 1 });
      expect(await atB.controls(messages.length)).toEqual(messages);
      expect(await atA.controls(1)).toEqual([{ n: 1 }]);
    });

    test("frames arrive whole and in order, of every size and type", async () => {
      const { a, b } = await connect();
      b.allowPayload(4 * 1024 * 1024);
      const inbox = new Inbox(b);
      const sizes = [0, 1, 31, 4567, 4568, 4569, 10_240, 65_504, 65_505, 200_000, 4 * 1024 * 1024];
      const frames = sizes.map((sizeBytes, i) => makeFrame(i, sizeBytes));
      for (const lane of ["hot", "bulk"] as const) {
        for (const frame of frames) a.sendFrame(frame, lane);
        const arrived = await inbox.frames(frames.length);
        expect(arrived.map(({ sequence }) => sequence)).toEqual(frames.map((_, i) => i));
        arrived.forEach((frame, i) => expectSameFrame(frame, frames[i]!));
      }
    });

    test("a payload that is a view of a larger buffer arrives as the view", async () => {
      const { a, b } = await connect();
      const inbox = new Inbox(b);
      const payload = makeFrame(0, 12_000).payload.subarray(1001, 11_002);
      await a.sendFrame({ ...makeFrame(1, 0), payload }, "hot");
      expectSameFrame((await inbox.frames(1))[0]!, { ...makeFrame(1, 0), payload });
    });

    test("a sent payload is the sender's again, and a received one the receiver's", async () => {
      const { a, b } = await connect();
      const inbox = new Inbox(b);
      const frame = makeFrame(1, 20_000);
      await a.sendFrame(frame, "hot");
      frame.payload.fill(0);
      const [arrived] = await inbox.frames(1);
      expectSameFrame(arrived!, makeFrame(1, 20_000));
      arrived!.payload.fill(1);
      expect(frame.payload.every((byte) => byte === 0)).toBe(true);
    });

    test("a hot frame does not wait for bulk frames sent before it", async () => {
      const { a, b } = await connect();
      b.allowPayload(4 * 1024 * 1024);
      const inbox = new Inbox(b);
      for (let i = 0; i < 8; i++) a.sendFrame(makeFrame(i, 4 * 1024 * 1024), "bulk");
      a.sendFrame(makeFrame(100, 10_000), "hot");
      const order = (await inbox.frames(9)).map(({ sequence }) => sequence);
      expect(order.indexOf(100)).toBeLessThan(8);
      expect(order.filter((sequence) => sequence !== 100)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    });

    test("a sender that waits for each frame never has much buffered", async () => {
      const { a, b } = await connect();
      b.allowPayload(1024 * 1024);
      const inbox = new Inbox(b);
      const frame = makeFrame(0, 1024 * 1024);
      let mostBuffered = 0;
      for (let i = 0; i < 64; i++) {
        const sending = a.sendFrame({ ...frame, sequence: i }, "bulk");
        mostBuffered = Math.max(mostBuffered, a.stats.bufferedBytes);
        await sending;
      }
      expect((await inbox.frames(64)).map(({ sequence }) => sequence)).toEqual([
        ...Array(64).keys(),
      ]);
      expect(mostBuffered).toBeGreaterThan(1024 * 1024 - 1);
      expect(mostBuffered).toBeLessThan(2.5 * 1024 * 1024);
      expect(a.stats.bytesOut).toBeGreaterThan(64 * 1024 * 1024);
      expect(b.stats.bytesIn).toBeGreaterThan(64 * 1024 * 1024);
    });

    test("what arrives before anybody listens waits for the listener that takes it", async () => {
      const { a, b } = await connect();
      const first = new Inbox(b, ["onControl"]);
      a.sendFrame(makeFrame(1, 100), "hot");
      a.sendFrame(makeFrame(2, 100), "hot");
      a.sendControl("behind the frames");
      expect(await first.controls(1)).toEqual(["behind the frames"]);
      a.sendFrame(makeFrame(3, 100), "hot");
      const second = new Inbox(b);
      expect((await second.frames(3)).map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
    });

    test("a listener that was removed hears nothing more", async () => {
      const { a, b } = await connect();
      const heard: unknown[] = [];
      const stop = b.listen({ onControl: (message) => heard.push(message) });
      const inbox = new Inbox(b);
      a.sendControl(1);
      await inbox.controls(1);
      stop();
      a.sendControl(2);
      await inbox.controls(1);
      expect(heard).toEqual([1]);
    });

    test("close() tells both sides why, once, and ends sending", async () => {
      const { a, b } = await connect();
      const atA = new Inbox(a);
      const atB = new Inbox(b);
      expect(a.closedReason).toBeNull();
      a.close("Leaving: the tab closes");
      a.close("Again");
      expect(a.closedReason).toBe("Leaving: the tab closes");
      expect(await atA.closed()).toBe("Leaving: the tab closes");
      expect(await atB.closed()).toBe("Leaving: the tab closes");
      expect(b.closedReason).toBe("Leaving: the tab closes");
      a.sendControl("nobody hears this");
      await expect(a.sendFrame(makeFrame(0, 10), "hot")).rejects.toThrow(LinkClosedError);
      await expect(b.sendFrame(makeFrame(0, 10), "bulk")).rejects.toThrow("the tab closes");
      expect(atA.numCloses + atB.numCloses).toBe(2);
    });

    test("a listener that comes after the end hears why the link closed", async () => {
      const { a, b } = await connect();
      a.close("Too late");
      expect(await new Inbox(a).closed()).toBe("Too late");
      expect(await new Inbox(b).closed()).toBe("Too late");
    });

    test("frames that wait when the link closes reject", async () => {
      const { a, b } = await connect();
      b.allowPayload(1024 * 1024);
      const sends = Array.from(
        { length: 16 },
        (_, i) => a.sendFrame(makeFrame(i, 1 << 20), "bulk"),
      );
      const outcomes = Promise.allSettled(sends);
      a.close("Enough");
      const rejected = (await outcomes).filter(({ status }) => status === "rejected");
      expect(rejected.length).toBeGreaterThan(0);
      for (const outcome of rejected) {
        expect((outcome as PromiseRejectedResult).reason).toBeInstanceOf(LinkClosedError);
      }
    });

    test.each([["hot", 65_537], ["bulk", 300_000]] as const)(
      "a frame on the %s lane above the allowed size closes the link on both sides",
      async (lane, sizeBytes) => {
        const { a, b } = await connect();
        const atA = new Inbox(a);
        const atB = new Inbox(b);
        await a.sendFrame(makeFrame(0, 65_536), lane);
        await atB.frames(1);
        a.sendFrame(makeFrame(1, sizeBytes), lane).catch(() => {});
        const reason = `Frame of ${sizeBytes} bytes, where at most 65536 are allowed`;
        expect(await atB.closed()).toBe(reason);
        expect(await atA.closed()).toBe(reason);
        expect(atB.numFrames).toBe(1);
      },
    );

    test("a control message above 256 KiB is the sender's mistake", async () => {
      const { a, b } = await connect();
      const inbox = new Inbox(b);
      expect(() => a.sendControl("x".repeat(256 * 1024))).toThrow(RangeError);
      expect(() => a.sendControl("é".repeat(130 * 1024))).toThrow("send it as frames");
      a.sendControl("x".repeat(255 * 1024));
      expect(await inbox.controls(1)).toEqual(["x".repeat(255 * 1024)]);
    });

    test("the round trip is measured, and the candidate type known", async () => {
      const { a, b } = await connect(true);
      await until(() => a.stats.rttMs !== null && b.stats.rttMs !== null);
      expect(a.stats.rttMs).toBeGreaterThanOrEqual(0);
      await until(() => a.stats.candidateType !== "unknown");
      expect(["host", "prflx", "memory"]).toContain(a.stats.candidateType);
    });

    test("a link on which nothing arrives any more closes on both sides", async () => {
      const { a, b, cut } = await connect(true);
      const atA = new Inbox(a);
      const atB = new Inbox(b);
      await until(() => a.stats.rttMs !== null);
      expect(a.closedReason).toBeNull();
      cut();
      expect(await atA.closed()).toBe("No sign of life for 2.5 s");
      expect(await atB.closed()).toBe("No sign of life for 2.5 s");
    });
  });
}

/** A frame whose fields and bytes tell which one it is. */
export function makeFrame(sequence: number, sizeBytes: number): Frame {
  const payload = new Uint8Array(sizeBytes);
  for (let i = 0; i < sizeBytes; i++) payload[i] = (i * 31 + (i >> 8) + sequence) & 255;
  return {
    type: "batch",
    epoch: 0xffff_ffff,
    sequence,
    position: 0x8000_0000 + sequence,
    numTokens: sequence + 1,
    dtype: "f16",
    payload,
  };
}

function expectSameFrame(actual: Frame, expected: Frame): void {
  const { payload: actualBytes, ...actualHeader } = actual;
  const { payload: expectedBytes, ...expectedHeader } = expected;
  expect(actualHeader).toEqual(expectedHeader);
  expect(actualBytes.length).toBe(expectedBytes.length);
  // Millions of bytes: toEqual would take seconds.
  expect(actualBytes.findIndex((byte, i) => byte !== expectedBytes[i])).toBe(-1);
}

/** What one end heard and nobody asked for yet. */
class Inbox {
  numCloses = 0;
  numFrames = 0;
  readonly #controls: unknown[] = [];
  readonly #frames: Frame[] = [];
  #closedReason: string | null = null;

  constructor(link: PeerLink, events: readonly (keyof LinkListener)[] = ["onControl", "onFrame"]) {
    link.listen({
      ...(events.includes("onControl") &&
        { onControl: (message: unknown) => this.#controls.push(message) }),
      ...(events.includes("onFrame") && {
        onFrame: (frame: Frame) => {
          this.numFrames++;
          this.#frames.push(frame);
        },
      }),
      onClose: (reason) => {
        this.numCloses++;
        this.#closedReason = reason;
      },
    });
  }

  async controls(count: number): Promise<unknown[]> {
    await until(() => this.#controls.length >= count);
    return this.#controls.splice(0, count);
  }

  async frames(count: number): Promise<Frame[]> {
    await until(() => this.#frames.length >= count);
    return this.#frames.splice(0, count);
  }

  async closed(): Promise<string> {
    await until(() => this.#closedReason !== null);
    return this.#closedReason ?? "";
  }
}

/** Waits for what a message is about to bring. */
async function until(condition: () => boolean): Promise<void> {
  const startMs = performance.now();
  while (!condition()) {
    if (performance.now() - startMs > 20_000) throw new Error("Not within 20 s");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
