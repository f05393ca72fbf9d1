import type { MeshCrypto } from "../../src/platform/platform.ts";
import { meshCrypto } from "../../src/platform/web_crypto.ts";

/** Public key and signature, which come before the text. */
const BODY_OFFSET = 96;

/** Cryptography of someone who changes the text between signing and encrypting. */
export function rewriting(change: (body: string) => string): MeshCrypto {
  const encrypt: SubtleCrypto["encrypt"] = (algorithm, key, data) => {
    const bytes = new Uint8Array(data as ArrayBuffer);
    const body = change(new TextDecoder().decode(bytes.slice(BODY_OFFSET)));
    const changed = new Uint8Array([
      ...bytes.slice(0, BODY_OFFSET),
      ...new TextEncoder().encode(body),
    ]);
    return meshCrypto.subtle.encrypt(algorithm, key, changed);
  };
  const subtle = { encrypt } as SubtleCrypto;
  return { subtle, randomBytes: meshCrypto.randomBytes };
}
