import { afterEach, describe, expect, it, vi } from "vitest";
import { createIdentity } from "../../src/mesh/identity.ts";
import { meshCrypto } from "../../src/platform/web_crypto.ts";

afterEach(() => void vi.unstubAllGlobals());

describe("the runtime's cryptography", () => {
  it("gives as many random bytes as asked for, others each time", () => {
    const [a, b] = [meshCrypto.randomBytes(16), meshCrypto.randomBytes(16)];
    expect(a).toHaveLength(16);
    expect(a).not.toEqual(b);
  });

  it("says what to do in a page that was opened insecurely", async () => {
    vi.stubGlobal("crypto", { getRandomValues: () => new Uint8Array(1) });
    await expect(createIdentity(meshCrypto)).rejects.toThrow("open it through https://");
  });
});
