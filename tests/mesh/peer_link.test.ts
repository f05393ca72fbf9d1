import { afterAll } from "vitest";
import { UdpRelay } from "../../bench/udp_relay.ts";
import { memoryLinkPair } from "../../src/mesh/memory_link.ts";
import { nodeDatachannelRtc } from "../../src/platform/node_datachannel.ts";
import type { RtcProvider } from "../../src/platform/platform.ts";
import { type MakeLinkPair, peerLinkContract } from "../contracts/peer_link.ts";
import { roamhqRtc } from "./roamhq_rtc.ts";
import { dialPair, scaledClock } from "./rtc_pair.ts";

const HASTE = 3;
const datachannel = nodeDatachannelRtc();
const relays: UdpRelay[] = [];
afterAll(() => {
  for (const relay of relays) relay.close();
  datachannel.close();
});

peerLinkContract("MemoryLink", ({ isHasty }) => {
  const pair = memoryLinkPair({ clock: scaledClock(isHasty ? HASTE : 1), a: "a", b: "b" });
  return Promise.resolve({ a: pair.a, b: pair.b, cut: () => void (pair.isCut = true) });
});
peerLinkContract("RtcLink", overRtc(datachannel, datachannel));
peerLinkContract("RtcLink from node-datachannel to libwebrtc", overRtc(datachannel, roamhqRtc()));

function overRtc(rtc: RtcProvider, rtcOfB: RtcProvider): MakeLinkPair {
  return async ({ isHasty }) => {
    if (!isHasty) return { ...await dialPair({ rtc, rtcOfB }), cut: () => {} };
    const relay = await UdpRelay.open({ delayMs: 0 });
    relays.push(relay);
    const pair = await dialPair({ rtc, rtcOfB, relay, clock: scaledClock(HASTE) });
    return { ...pair, cut: () => void (relay.isCut = true) };
  };
}
