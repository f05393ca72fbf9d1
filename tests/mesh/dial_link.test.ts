import { afterAll, describe, expect, test } from "vitest";
import { bindChannel, type HandshakeOptions } from "../../src/mesh/channel_binding.ts";
import { dialLink, type DialOptions } from "../../src/mesh/dial_link.ts";
import { createIdentity, type Identity } from "../../src/mesh/identity.ts";
import type { LinkMessage } from "../../src/mesh/link_message.ts";
import { LinkRefusedError } from "../../src/mesh/link_refused_error.ts";
import { LinkClosedError } from "../../src/mesh/peer_link.ts";
import type { SignalExchange } from "../../src/mesh/rtc_signal.ts";
import { nodeDatachannelRtc } from "../../src/platform/node_datachannel.ts";
import { meshCrypto } from "../../src/platform/web_crypto.ts";
import { roamhqRtc } from "./roamhq_rtc.ts";
import { dialPairOptions, scaledClock } from "./rtc_pair.ts";

const rtc = nodeDatachannelRtc();
afterAll(() => rtc.close());

describe("dialLink()", () => {
  test("both providers tell the certificate that the other side really uses", async () => {
    const { a, b } = await dialPairOptions({ rtc, rtcOfB: roamhqRtc() });
    const announced: Record<string, string> = {};
    const told: Record<string, string | null> = {};
    const [atA, atB] = await Promise.all([
      dialLink(listenIn(a, "a")),
      dialLink(listenIn(b, "b")),
    ]);
    expect(told).toEqual({ a: announced["b"], b: announced["a"] });
    expect(told["a"]).toMatch(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
    atA.close("Done");
    atB.close("Done");

    function listenIn(options: DialOptions, name: string): DialOptions {
      return {
        ...options,
        rtc: {
          ...options.rtc,
          remoteFingerprint: async (connection) =>
            told[name] = await options.rtc.remoteFingerprint(connection),
        },
        exchange: throughSdp(options.exchange, (sdp) => {
          announced[name] = /a=fingerprint:sha-256 (\S+)/.exec(sdp)?.[1] ?? "";
          return sdp;
        }),
      };
    }
  });

  test("refuses a certificate that is not the announced one", async () => {
    const { a, b } = await dialPairOptions({ rtc });
    const other = Array(32).fill("AB").join(":");
    const lying = { ...rtc, remoteFingerprint: () => Promise.resolve(other) };
    const [atA, atB] = await Promise.allSettled([dialLink({ ...a, rtc: lying }), dialLink(b)]);
    expectRefusal(atA, `and uses "${other}"`);
    expectRefusal(atB, "Refused by the other side: Swapped certificate");
  });

  test("refuses a peer with another key than the expected one", async () => {
    const { a, b } = await dialPairOptions({ rtc });
    const stranger = await createIdentity(meshCrypto);
    const [atA, atB] = await Promise.allSettled([
      dialLink(a),
      dialLink({ ...b, identity: stranger }),
    ]);
    expectRefusal(atA, `it belongs to peer "${stranger.peerId}", not to "${a.peerId}"`);
    expectRefusal(atB, "Refused by the other side: Wrong key");
  });

  test("refuses a peer that shows another's key and cannot sign with it", async () => {
    const { a, b } = await dialPairOptions({ rtc });
    const stranger = await createIdentity(meshCrypto);
    const thief: Identity = { ...b.identity, sign: stranger.sign };
    const [atA, atB] = await Promise.allSettled([dialLink(a), dialLink({ ...b, identity: thief })]);
    expectRefusal(atA, `peer "${a.peerId}" did not sign the certificates of this connection`);
    // The other side's own proof was good, so that the thief may see a link, for a moment.
    if (atB.status === "rejected") {
      expectRefusal(atB, "Refused by the other side: Wrong signature");
    } else {
      const closed = new Promise((onClose) => atB.value.listen({ onClose }));
      expect(await closed).toContain("Wrong signature");
    }
  });

  test("makes no connection when somebody swaps the fingerprint on the way", async () => {
    const { a, b } = await dialPairOptions({ rtc, clock: scaledClock(10) });
    const exchange = throughSdp(b.exchange, (sdp) => sdp.replace(/sha-256 ..:../, "sha-256 00:00"));
    const [atA, atB] = await Promise.allSettled([dialLink(a), dialLink({ ...b, exchange })]);
    for (const outcome of [atA, atB]) {
      expect(outcome).toMatchObject({ status: "rejected", reason: expect.any(LinkClosedError) });
    }
  });

  test("gives up after 20 s, and when told to", async () => {
    const { a } = await dialPairOptions({ rtc, clock: scaledClock(100) });
    const startMs = performance.now();
    await expect(dialLink(a)).rejects.toThrow("No connection within 20 s");
    expect((performance.now() - startMs) * 100).toBeGreaterThanOrEqual(20_000);

    const { a: second } = await dialPairOptions({ rtc });
    const aborting = new AbortController();
    const dialled = dialLink({ ...second, signal: aborting.signal });
    aborting.abort(new Error("The room was left"));
    await expect(dialled).rejects.toThrow("The room was left");
    await expect(dialLink({ ...second, signal: aborting.signal })).rejects.toThrow("left");
  });

  test("passes over signals that are none, and over a second description", async () => {
    const { a, b } = await dialPairOptions({ rtc });
    const noisy = (exchange: SignalExchange): SignalExchange => ({
      send: (signal) => exchange.send(signal),
      listen: (onSignal) =>
        exchange.listen((signal) => {
          for (const noise of [null, 7, {}, { type: "renegotiate", renegotiate: true }]) {
            onSignal(noise);
          }
          onSignal({ type: "candidate", candidate: { candidate: 5 } });
          onSignal({ type: "answer", sdp: 9 });
          onSignal({ transceiverRequest: { kind: "video" } });
          onSignal(signal);
          onSignal(signal);
        }),
    });
    const [atA, atB] = await Promise.all([
      dialLink({ ...a, exchange: noisy(a.exchange) }),
      dialLink({ ...b, exchange: noisy(b.exchange) }),
    ]);
    expect([atA.closedReason, atB.closedReason]).toEqual([null, null]);
    atA.close("Done");
  });
});

describe("bindChannel()", () => {
  test("is satisfied when both ends see the same certificates and own their keys", async () => {
    const outcomes = await shakeHands();
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled"]);
  });

  test("shows two connections with somebody between them", async () => {
    // The signatures are passed on; they are for other certificates.
    for (const between of [{ localFingerprint: "M1" }, { remoteFingerprint: "M2" }]) {
      const outcomes = await shakeHands({ ofB: between });
      for (const outcome of outcomes) expectRefusal(outcome, "Wrong signature");
    }
  });

  test("takes no signature for the other role, nor one of an earlier handshake", async () => {
    expectRefusal((await shakeHands({ ofB: { isInitiator: true } }))[0], "Wrong signature");
    const earlier: LinkMessage[] = [];
    await shakeHands({ onFromB: (message) => (earlier.push(message), message) });
    const outcomes = await shakeHands({
      onFromB: (message) => earlier.find(({ type }) => type === message.type) ?? message,
    });
    expectRefusal(outcomes[0], "Wrong signature");
  });

  test("wants the messages in their order", async () => {
    const onFromB = (message: LinkMessage): LinkMessage =>
      message.type === "proof" ? { type: "user", message: "let me in" } : message;
    expectRefusal(
      (await shakeHands({ onFromB }))[0],
      'Expected "proof" from the other side, got "user"',
    );
  });
});

const ends: Promise<[Identity, Identity]> = Promise.all([
  createIdentity(meshCrypto),
  createIdentity(meshCrypto),
]);

/** Both ends of a handshake; what `b` says and believes can be changed. */
async function shakeHands({ ofB = {}, onFromB = (message) => message }: {
  readonly ofB?: Partial<HandshakeOptions>;
  readonly onFromB?: (message: LinkMessage) => LinkMessage;
} = {}): Promise<PromiseSettledResult<void>[]> {
  const [a, b] = await ends;
  const toA = new MessageQueue();
  const toB = new MessageQueue();
  const optionsOfA: HandshakeOptions = {
    crypto: meshCrypto,
    identity: a,
    peerId: b.peerId,
    isInitiator: true,
    localFingerprint: "A",
    remoteFingerprint: "B",
  };
  return await Promise.allSettled([
    bindChannel({ send: (m) => toB.push(m), receive: () => toA.next() }, optionsOfA),
    bindChannel({ send: (m) => toA.push(onFromB(m)), receive: () => toB.next() }, {
      ...optionsOfA,
      identity: b,
      peerId: a.peerId,
      isInitiator: false,
      localFingerprint: "B",
      remoteFingerprint: "A",
      ...ofB,
    }),
  ]);
}

class MessageQueue {
  readonly #messages: LinkMessage[] = [];
  #onMessage: () => void = () => {};

  push(message: LinkMessage): void {
    this.#messages.push(message);
    this.#onMessage();
  }

  async next(): Promise<LinkMessage> {
    if (this.#messages.length === 0) await new Promise<void>((done) => this.#onMessage = done);
    return this.#messages.shift()!;
  }
}

function expectRefusal(outcome: PromiseSettledResult<unknown> | undefined, text: string): void {
  expect(outcome?.status).toBe("rejected");
  const { reason } = outcome as PromiseRejectedResult;
  expect(reason).toBeInstanceOf(LinkRefusedError);
  expect(reason.message).toContain(text);
}

/** An exchange whose own descriptions pass through `change`. */
function throughSdp(exchange: SignalExchange, change: (sdp: string) => string): SignalExchange {
  return {
    send: (signal) =>
      exchange.send(
        signal.type === "candidate" ? signal : { ...signal, sdp: change(signal.sdp) },
      ),
    listen: (onSignal) => exchange.listen(onSignal),
  };
}
