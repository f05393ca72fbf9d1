/**
 * The runtime's own WebCrypto, which browsers, Deno and Node share.
 *
 * @module
 */
import type { MeshCrypto } from "./platform.ts";

/** WebCrypto. Throws where there is none, with the fix. */
export const meshCrypto: MeshCrypto = {
  get subtle() {
    const subtle: SubtleCrypto | undefined = globalThis.crypto.subtle;
    if (!subtle) {
      throw new Error(
        "This page was opened insecurely, where browsers offer no cryptography: open it through " +
          "https://, or through http://localhost on the same machine",
      );
    }
    return subtle;
  },
  randomBytes: (length) => globalThis.crypto.getRandomValues(new Uint8Array(length)),
};
