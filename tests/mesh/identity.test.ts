import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import {
  createIdentity,
  IdentityError,
  peerIdOf,
  verifySignature,
} from "../../src/mesh/identity.ts";
import { meshCrypto } from "../../src/platform/web_crypto.ts";

const DATA = new TextEncoder().encode("hidden states");

describe("createIdentity()", () => {
  it("names the peer by the hash of its key, each a new one", async () => {
    const [a, b] = [await createIdentity(meshCrypto), await createIdentity(meshCrypto)];
    const hash = createHash("sha256").update(a.publicKey).digest("hex");
    expect(a.publicKey).toHaveLength(32);
    expect(a.peerId).toBe(hash.slice(0, 32));
    expect(await peerIdOf(meshCrypto, a.publicKey)).toBe(a.peerId);
    expect(b.peerId).not.toBe(a.peerId);
  });

  it("keeps the private key where nothing can read it", async () => {
    const made: CryptoKeyPair[] = [];
    const subtle = new Proxy(meshCrypto.subtle, {
      get: (target, name) =>
        name === "generateKey"
          ? async (...args: Parameters<SubtleCrypto["generateKey"]>) => {
            const pair = await target.generateKey(...args) as CryptoKeyPair;
            made.push(pair);
            return pair;
          }
          : target[name as keyof SubtleCrypto].bind(target),
    });
    await createIdentity({ ...meshCrypto, subtle });
    expect(made.map(({ privateKey }) => privateKey.extractable)).toEqual([false]);
    await expect(meshCrypto.subtle.exportKey("pkcs8", made[0]!.privateKey)).rejects.toThrow();
  });

  it("says what to do where there is no Ed25519", async () => {
    const subtle = { generateKey: () => Promise.reject(new Error("NotSupportedError")) };
    const crypto = { ...meshCrypto, subtle: subtle as unknown as SubtleCrypto };
    await expect(createIdentity(crypto)).rejects.toThrow(IdentityError);
    await expect(createIdentity(crypto)).rejects.toThrow("no Ed25519 keys: update it");
  });
});

describe("verifySignature()", () => {
  it("is true for the key's own signature of the same data alone", async () => {
    const [a, b] = [await createIdentity(meshCrypto), await createIdentity(meshCrypto)];
    const { publicKey } = a;
    const signature = await a.sign(DATA);
    expect(signature).toHaveLength(64);
    const isValid = (changed: object) =>
      verifySignature(meshCrypto, { publicKey, data: DATA, signature, ...changed });
    expect(await isValid({})).toBe(true);
    expect(await isValid({ data: DATA.slice(1) })).toBe(false);
    expect(await isValid({ publicKey: b.publicKey })).toBe(false);
    expect(await isValid({ signature: await b.sign(DATA) })).toBe(false);
  });

  it("is false for what is no key or no signature", async () => {
    const { publicKey, sign } = await createIdentity(meshCrypto);
    const signature = await sign(DATA);
    for (const length of [0, 31, 33, 64]) {
      const bytes = new Uint8Array(length);
      expect(await verifySignature(meshCrypto, { publicKey: bytes, data: DATA, signature }))
        .toBe(false);
      expect(await verifySignature(meshCrypto, { publicKey, data: DATA, signature: bytes }))
        .toBe(false);
    }
  });
});
