import { createDecipheriv, hkdfSync } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { decodeBase64Url } from "../../src/mesh/base64url.ts";
import { openMessage, sealMessage, type SealOptions, type Stamp } from "../../src/mesh/envelope.ts";
import { createIdentity, type Identity, verifySignature } from "../../src/mesh/identity.ts";
import type { JoinLink } from "../../src/mesh/join_link.ts";
import { deriveRoomKeys, type RoomKeys } from "../../src/mesh/room_keys.ts";
import type { RoomMessage } from "../../src/mesh/room.ts";
import { parseSignalingReply, type Publication } from "../../src/mesh/signaling_message.ts";
import { meshCrypto } from "../../src/platform/web_crypto.ts";
import { rewriting } from "./rewriting_crypto.ts";
import { newLink, SOME_DAY_MS } from "./room_member.ts";
import { fingerprint, sdpWith } from "./sdp.ts";

const STAMP: Stamp = {
  ...{ seq: 7, run: "run-of-alice", startedMs: SOME_DAY_MS, forRun: "run-of-bob" },
  timeMs: SOME_DAY_MS + 1000,
};
const OFFER: RoomMessage = {
  ...{ type: "signal", dialId: "dial-1" },
  signal: { type: "offer", sdp: sdpWith(fingerprint(1)) },
};
const CHANGED = "another one, or it was changed on the way";

let link: JoinLink;
let keys: RoomKeys;
let alice: Identity;
let bob: Identity;

beforeAll(async () => {
  link = newLink();
  keys = await deriveRoomKeys(meshCrypto, link);
  alice = await createIdentity(meshCrypto);
  bob = await createIdentity(meshCrypto);
});

describe("a sealed message", () => {
  it.each<RoomMessage>([
    { type: "announce", role: "coordinator" },
    { type: "announce", role: "peer" },
    { type: "signal", dialId: "d", signal: { sdp: "v=0\r\n", nested: [1, null, "é"] } },
    { type: "refuse", dialId: "d", reason: "Full" },
  ])("opens as it was: %j", async (message) => {
    for (const to of [null, bob.peerId]) {
      expect(await open(await seal({ message, to })))
        .toEqual({ from: alice.peerId, to, message, stamp: STAMP });
    }
  });

  it("has the documented layout, with nothing but addresses in clear", async () => {
    const publication = await seal();
    const { sealed, ...clear } = publication.data as { sealed: string };
    expect({ ...publication, data: clear }).toEqual({
      ...{ topic: keys.topic, from: alice.peerId, to: bob.peerId },
      data: { version: 1, type: "signal", seq: 7 },
    });
    const key = hkdfSync("sha256", link.secret, link.room, "tessera v1 signaling payload", 32);
    const bytes = decodeBase64Url(sealed)!;
    const decipher = createDecipheriv("aes-256-gcm", new Uint8Array(key), bytes.subarray(0, 12));
    const header = prefixed("tessera room v1", keys.topic, alice.peerId, bob.peerId, "signal", "7");
    decipher.setAAD(header).setAuthTag(bytes.subarray(-16));
    const plaintext = new Uint8Array([...decipher.update(bytes.subarray(12, -16))]);
    decipher.final();
    expect(plaintext.subarray(0, 32)).toEqual(alice.publicKey);
    const body = plaintext.slice(96);
    const { seq: _, ...stamp } = STAMP;
    expect(JSON.parse(new TextDecoder().decode(body))).toEqual({ ...stamp, message: OFFER });
    const data = new Uint8Array([...header, ...prefixed(link.room), ...body]);
    const signature = plaintext.slice(32, 96);
    expect(await verifySignature(meshCrypto, { publicKey: alice.publicKey, data, signature }))
      .toBe(true);
  });

  it("never looks the same twice", async () => {
    const texts = await Promise.all(Array.from({ length: 20 }, async () => (await seal()).data));
    expect(new Set(texts.map((data) => (data as { sealed: string }).sealed.slice(0, 16))).size)
      .toBe(20);
  });
});

describe("a message is refused", () => {
  it("with another secret", async () => {
    const wrong = await deriveRoomKeys(meshCrypto, { ...link, secret: newLink().secret });
    expect(await refusalOf(await seal({ keys: wrong }))).toContain(CHANGED);
  });

  it("of another room, also under a name that fits", async () => {
    const other = await deriveRoomKeys(meshCrypto, newLink());
    const publication = await seal({ keys: other });
    expect(await refusalOf(publication)).toBe("it is of another room");
    expect(await refusalOf({ ...publication, topic: keys.topic })).toContain(CHANGED);
    const sameSecret = await deriveRoomKeys(meshCrypto, {
      room: newLink().room,
      secret: link.secret,
    });
    const shifted = await seal({ keys: { ...sameSecret, topic: keys.topic } });
    expect(await refusalOf(shifted)).toContain(CHANGED);
  });

  it("whose sender, recipient, type or number was changed", async () => {
    const publication = await seal();
    const data = publication.data as Record<string, unknown>;
    for (
      const changed of [
        { from: bob.peerId },
        { from: `${alice.peerId}0` },
        { to: null },
        { to: alice.peerId },
        { to: "*" },
        { data: { ...data, type: "announce" } },
        { data: { ...data, seq: 8 } },
      ]
    ) {
      expect(await refusalOf({ ...publication, ...changed }), JSON.stringify(changed))
        .toContain(CHANGED);
    }
  });

  it("of another version, with advice", async () => {
    const publication = await seal();
    const data = { ...publication.data as object, version: 2 };
    expect(await refusalOf({ ...publication, data }))
      .toBe(
        "it is of version 2 of the room's protocol, this program knows 1: update the older of the " +
          "two programs",
      );
  });

  it("with any bit of its text changed", async () => {
    const text = JSON.stringify({ type: "publish", ...await seal() });
    await fc.assert(
      fc.asyncProperty(fc.nat(text.length - 1), fc.nat(6), async (at, bit) => {
        const changed = text.slice(0, at) +
          String.fromCharCode(text.charCodeAt(at) ^ (1 << bit)) + text.slice(at + 1);
        const reply = parseSignalingReply(changed);
        if (reply?.type === "publish") await refusalOf(reply.publication);
      }),
      { numRuns: 500 },
    );
  });

  it("with its end cut off", async () => {
    const publication = await seal();
    const { sealed, ...data } = publication.data as { sealed: string };
    for (const length of [0, 8, 16, 40, sealed.length - 4]) {
      await refusalOf({ ...publication, data: { ...data, sealed: sealed.slice(0, length) } });
    }
  });

  it("that is garbage, whatever garbage", async () => {
    await fc.assert(fc.asyncProperty(fc.anything(), fc.string(), async (data, from) => {
      await refusalOf({ topic: keys.topic, from, to: null, data });
    }));
    const shape = { version: 1, type: "announce", seq: 1 };
    await fc.assert(fc.asyncProperty(fc.string({ unit: "grapheme" }), async (sealed) => {
      await refusalOf({ topic: keys.topic, from: "a", to: null, data: { ...shape, sealed } });
    }));
  });
});

describe("a member that has the room's secret cannot", () => {
  it("speak under another's id with a key of its own", async () => {
    const forger: Identity = { ...bob, peerId: alice.peerId };
    expect(await refusalOf(await seal({ identity: forger, to: null })))
      .toBe("its sender's id is not the hash of its key");
  });

  it("speak with another's key, which it cannot sign with", async () => {
    const forger: Identity = { ...alice, sign: (data) => bob.sign(data) };
    expect(await refusalOf(await seal({ identity: forger })))
      .toBe("its signature is not of its sender");
  });

  it("swap the fingerprint in another's offer", async () => {
    const swap = (text: string) => text.replace(fingerprint(1), fingerprint(2));
    expect(await refusalOf(await seal({}, rewriting(swap))))
      .toBe("its signature is not of its sender");
  });

  it("pass on another's message with another recipient, number, time or room", async () => {
    let signature = new Uint8Array(64);
    const recorder: Identity = {
      ...alice,
      sign: async (data) => signature = await alice.sign(data),
    };
    await seal({ identity: recorder });
    const forger: Identity = { ...alice, sign: () => Promise.resolve(signature) };
    expect(await open(await seal({ identity: forger }))).toMatchObject({ message: OFFER });
    for (
      const changed of [
        { to: null },
        { stamp: { ...STAMP, seq: 8 } },
        { stamp: { ...STAMP, timeMs: SOME_DAY_MS + 1001 } },
        { stamp: { ...STAMP, forRun: "next-run-of-bob" } },
      ]
    ) {
      expect(await refusalOf(await seal({ identity: forger, ...changed })), JSON.stringify(changed))
        .toBe("its signature is not of its sender");
    }
    await seal({ identity: recorder, keys: { ...keys, room: newLink().room } });
    expect(await refusalOf(await seal({ identity: forger })))
      .toBe("its signature is not of its sender");
  });

  it("confuse others with shapes that are not of the protocol", async () => {
    for (
      const message of [
        { type: "announce", role: "owner" },
        { type: "signal", dialId: "d".repeat(65), signal: {} },
        { type: "refuse", dialId: "d", reason: "x".repeat(1001) },
        { type: "announce" },
      ]
    ) {
      expect(await refusalOf(await seal({ message: message as RoomMessage })))
        .toBe("its body is not of a known shape");
    }
    for (const stamp of [{ ...STAMP, timeMs: -1 }, { ...STAMP, run: "r".repeat(65) }]) {
      expect(await refusalOf(await seal({ stamp }))).toBe("its body is not of a known shape");
    }
    expect(await refusalOf(await seal({ stamp: { ...STAMP, seq: 0 } }))).toContain("shape");
    const message = { type: "refuse", dialId: "d", reason: "Full" } as const;
    const twoFaced = { ...message, toJSON: () => ({ ...OFFER }) };
    expect(await refusalOf(await seal({ message: twoFaced }))).toBe("it says to be of two types");
  });
});

function seal(changed: Partial<SealOptions> = {}, crypto = meshCrypto) {
  const options = { keys, identity: alice, to: bob.peerId, message: OFFER, stamp: STAMP };
  return sealMessage(crypto, { ...options, ...changed });
}

function open(publication: Publication) {
  return openMessage(meshCrypto, { keys, publication });
}

async function refusalOf(publication: Publication): Promise<string> {
  const opened = await open(publication);
  if (!("refused" in opened)) throw new Error(`Opened: ${JSON.stringify(opened)}`);
  return opened.refused;
}

function prefixed(...texts: readonly string[]): Uint8Array {
  return new Uint8Array(texts.flatMap((text) => {
    const bytes = [...new TextEncoder().encode(text)];
    return [0, 0, 0, bytes.length, ...bytes];
  }));
}
