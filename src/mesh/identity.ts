/**
 * Peers' identities.
 *
 * @module
 */
import type { MeshCrypto } from "../platform/platform.ts";
import { toHex } from "./hex.ts";

/** Who a peer is: a key pair whose public half names it. */
export interface Identity {
  /** Lower-case hexadecimal SHA-256 of the raw public key, its first 32 digits. */
  readonly peerId: string;
  /** Raw Ed25519 public key, 32 bytes. */
  readonly publicKey: Uint8Array<ArrayBuffer>;
  /** Ed25519 signature of `data`, 64 bytes. */
  sign(data: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
}

/** The runtime cannot make the keys that the mesh needs. */
export class IdentityError extends Error {
  override readonly name = "IdentityError";
}

const PEER_ID_LENGTH = 32;

/** A new identity whose private key nobody can read, not even this program. */
export async function createIdentity(meshCrypto: MeshCrypto): Promise<Identity> {
  const { subtle } = meshCrypto;
  const { publicKey, privateKey } = await generateKeyPair(subtle);
  const rawPublicKey = new Uint8Array(await subtle.exportKey("raw", publicKey));
  return {
    peerId: await peerIdOf(meshCrypto, rawPublicKey),
    publicKey: rawPublicKey,
    sign: async (data) => new Uint8Array(await subtle.sign("Ed25519", privateKey, data)),
  };
}

async function generateKeyPair(subtle: SubtleCrypto): Promise<CryptoKeyPair> {
  try {
    return await subtle.generateKey("Ed25519", false, ["sign", "verify"]) as CryptoKeyPair;
  } catch (cause) {
    throw new IdentityError(
      "This runtime has no Ed25519 keys: update it (Chrome 137, Firefox 130, Safari 17, Node 20, " +
        "Deno 2 and later have them)",
      { cause },
    );
  }
}

/** The id of the peer with this raw public key. */
export async function peerIdOf(
  meshCrypto: MeshCrypto,
  publicKey: Uint8Array<ArrayBuffer>,
): Promise<string> {
  const hash = await meshCrypto.subtle.digest("SHA-256", publicKey);
  return toHex(new Uint8Array(hash)).slice(0, PEER_ID_LENGTH);
}

/** What `verifySignature` compares. */
export interface SignedBytes {
  /** Raw Ed25519 public key. */
  readonly publicKey: Uint8Array<ArrayBuffer>;
  readonly data: Uint8Array<ArrayBuffer>;
  readonly signature: Uint8Array<ArrayBuffer>;
}

/** Whether the key's owner signed the data. False, too, for what is no key or no signature. */
export async function verifySignature(
  meshCrypto: MeshCrypto,
  signed: SignedBytes,
): Promise<boolean> {
  const { publicKey, data, signature } = signed;
  try {
    const key = await meshCrypto.subtle.importKey("raw", publicKey, "Ed25519", false, ["verify"]);
    return await meshCrypto.subtle.verify("Ed25519", key, signature, data);
  } catch {
    return false;
  }
}
