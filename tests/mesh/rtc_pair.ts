import { throughRelay } from "../../bench/through_relay.ts";
import type { UdpRelay } from "../../bench/udp_relay.ts";
import { dialLink, type DialOptions } from "../../src/mesh/dial_link.ts";
import { createIdentity } from "../../src/mesh/identity.ts";
import type { PeerLink } from "../../src/mesh/peer_link.ts";
import type { Clock, RtcProvider } from "../../src/platform/platform.ts";
import { systemClock } from "../../src/platform/system.ts";
import { meshCrypto } from "../../src/platform/web_crypto.ts";
import { signalPair } from "./signal_pair.ts";

/** Time that passes `speed` times as fast. */
export function scaledClock(speed: number): Clock {
  return {
    now: () => systemClock.now() * speed,
    sleep: (delayMs, signal) => systemClock.sleep(delayMs / speed, signal),
  };
}

/** What both sides use, unless told otherwise; `b` with its own provider for interop. */
export interface DialPairOptions {
  readonly rtc: RtcProvider;
  readonly rtcOfB?: RtcProvider;
  readonly clock?: Clock;
  readonly relay?: UdpRelay;
}

/** Options with which two ends dial each other. */
export async function dialPairOptions(
  { rtc, rtcOfB = rtc, clock = systemClock, relay }: DialPairOptions,
): Promise<{ a: DialOptions; b: DialOptions }> {
  const exchange = signalPair();
  const [a, b] = [await createIdentity(meshCrypto), await createIdentity(meshCrypto)];
  const both = { iceServers: [], clock, crypto: meshCrypto };
  return {
    a: {
      ...both,
      rtc: relay ? throughRelay(rtc, relay) : rtc,
      exchange: exchange.a,
      isInitiator: true,
      identity: a,
      peerId: b.peerId,
    },
    b: {
      ...both,
      rtc: rtcOfB,
      exchange: exchange.b,
      isInitiator: false,
      identity: b,
      peerId: a.peerId,
    },
  };
}

/** Both ends of a new link. */
export async function dialPair(options: DialPairOptions): Promise<{ a: PeerLink; b: PeerLink }> {
  const { a, b } = await dialPairOptions(options);
  const [atA, atB] = await Promise.all([dialLink(a), dialLink(b)]);
  return { a: atA, b: atB };
}
