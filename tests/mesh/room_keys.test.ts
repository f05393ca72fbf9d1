import { createDecipheriv, hkdfSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { deriveRoomKeys } from "../../src/mesh/room_keys.ts";
import { meshCrypto } from "../../src/platform/web_crypto.ts";
import { newLink } from "./room_member.ts";

describe("deriveRoomKeys()", () => {
  const link = newLink();

  it("derives as RFC 5869 says, and hides the room from the server", async () => {
    const keys = await deriveRoomKeys(meshCrypto, link);
    const bits = (secret: string | Uint8Array, salt: string, purpose: string) =>
      new Uint8Array(hkdfSync("sha256", secret, salt, `tessera v1 signaling ${purpose}`, 32));
    const topic = bits(link.room, "", "topic").subarray(0, 16).toHex();
    expect(keys.topic).toBe(`tessera-${topic}`);
    const iv = new Uint8Array(12);
    const decipher = createDecipheriv("aes-256-gcm", bits(link.secret, link.room, "payload"), iv);
    const sealed = await meshCrypto.subtle.encrypt(
      { name: "AES-GCM", iv },
      keys.payloadKey,
      Uint8Array.of(1, 2, 3),
    );
    expect([...decipher.update(new Uint8Array(sealed).subarray(0, 3))]).toEqual([1, 2, 3]);
    expect(keys.payloadKey.extractable).toBe(false);
  });

  it("brings members with a wrong secret to the same topic, where they can be told", async () => {
    const keys = await deriveRoomKeys(meshCrypto, link);
    const wrong = await deriveRoomKeys(meshCrypto, { ...link, secret: newLink().secret });
    expect(wrong.topic).toBe(keys.topic);
    expect((await deriveRoomKeys(meshCrypto, { ...link, room: newLink().room })).topic)
      .not.toBe(keys.topic);
  });
});
