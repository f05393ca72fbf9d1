import { afterAll, expect, test } from "vitest";
import { UdpRelay } from "../../bench/udp_relay.ts";
import type { Frame } from "../../src/mesh/frame.ts";
import { nodeDatachannelRtc } from "../../src/platform/node_datachannel.ts";
import { makeFrame } from "../contracts/peer_link.ts";
import { roamhqRtc } from "./roamhq_rtc.ts";
import { dialPair, scaledClock } from "./rtc_pair.ts";

const DELAY_MS = 50;
const NUM_FRAMES = 30;
const datachannel = nodeDatachannelRtc();
afterAll(() => datachannel.close());

test.each([
  ["node-datachannel", datachannel],
  ["libwebrtc", roamhqRtc()],
])("frames from %s arrive in order over a slow path that loses packets", async (_, rtc) => {
  const relay = await UdpRelay.open({ delayMs: DELAY_MS, loss: 0.01 });
  // Deadlines are patient: what is lost comes late, and later on a busy machine.
  const { a, b } = await dialPair({ rtc, rtcOfB: datachannel, relay, clock: scaledClock(0.1) });
  const arrived: Frame[] = [];
  const sentAtMs: number[] = [];
  const took: number[] = [];
  const done = new Promise<void>((resolve, reject) =>
    b.listen({
      onFrame(frame) {
        took.push(performance.now() - sentAtMs[frame.sequence]!);
        arrived.push(frame);
        if (arrived.length === NUM_FRAMES) resolve();
      },
      onClose: (reason) => reject(new Error(reason)),
    })
  );
  for (let i = 0; i < NUM_FRAMES; i++) {
    sentAtMs.push(performance.now());
    await a.sendFrame(makeFrame(i, 10_000), "hot");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await done;
  expect(arrived.map(({ sequence }) => sequence)).toEqual([...Array(NUM_FRAMES).keys()]);
  for (const { sequence, payload } of arrived) {
    const expected = makeFrame(sequence, 10_000).payload;
    expect(payload.every((byte, i) => byte === expected[i])).toBe(true);
  }
  // What came earlier did not come through the relay.
  expect(Math.min(...took)).toBeGreaterThanOrEqual(DELAY_MS - 1);
  a.close("Done");
  relay.close();
});

test("a link through a slow path measures its round trip", async () => {
  const relay = await UdpRelay.open({ delayMs: DELAY_MS });
  const { a } = await dialPair({ rtc: datachannel, relay });
  while (a.stats.rttMs === null) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(a.stats.rttMs).toBeGreaterThanOrEqual(2 * DELAY_MS - 2);
  a.close("Done");
  relay.close();
});
