import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readTls } from "../../src/cli/tls.ts";
import { selfSignedCertificate } from "../../src/platform/self_signed.ts";

describe("readTls()", () => {
  let folder = "";
  beforeEach(async () => {
    folder = await Deno.makeTempDir();
  });
  afterEach(() => Deno.remove(folder, { recursive: true }));

  const options = (more: { hosts?: string[]; now?: Date } = {}) => ({
    cacheFolder: join(folder, "cache"),
    hosts: ["localhost", "127.0.0.1"],
    now: new Date("2027-01-01T00:00:00Z"),
    ...more,
  });
  const selfSigned = (more = {}) => readTls({ tls: "self-signed" }, options(more));

  it("is null when no flag asks for TLS", async () => {
    expect(await readTls({}, options())).toBe(null);
  });

  it("keeps a self-signed certificate, readable by its owner alone", async () => {
    const first = await selfSigned();
    expect(first?.fingerprint).toMatch(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
    expect(await selfSigned()).toEqual(first);
    expect(await selfSigned({ hosts: ["localhost"] })).toEqual(first);
    const files = [...Deno.readDirSync(options().cacheFolder)].map(({ name }) => name);
    expect(files).toEqual(["self_signed.pem"]);
    const { mode } = await Deno.stat(join(options().cacheFolder, "self_signed.pem"));
    expect((mode ?? 0) & 0o777).toBe(0o600);
  });

  it("makes another for a new host, near the end of its life, and in place of a broken one", async () => {
    const first = await selfSigned();
    const forHost = await selfSigned({ hosts: ["localhost", "192.168.1.9"] });
    expect(forHost?.fingerprint).not.toBe(first?.fingerprint);
    const late = await selfSigned({ now: new Date("2028-01-30T00:00:00Z") });
    expect(late?.fingerprint).not.toBe(forHost?.fingerprint);
    const path = join(options().cacheFolder, "self_signed.pem");
    await Deno.writeTextFile(path, (late?.cert ?? "") + (first?.key ?? ""));
    const mended = await selfSigned({ now: new Date("2028-01-30T00:00:00Z") });
    expect(mended?.fingerprint).not.toBe(late?.fingerprint);
    await Deno.writeTextFile(path, "no certificate");
    expect((await selfSigned())?.cert).toContain("BEGIN CERTIFICATE");
  });

  it("says where it could not keep the certificate", async () => {
    await Deno.writeTextFile(join(folder, "cache"), "a file, not a folder");
    await expect(selfSigned()).rejects.toThrow("make the folder writable");
  });

  it("reads a certificate and its key from files", async () => {
    const now = new Date("2027-01-01T00:00:00Z");
    const pair = await selfSignedCertificate({ hosts: ["gpu.example"], now });
    const tlsCert = await write("cert.pem", pair.cert);
    const tlsKey = await write("key.pem", pair.key);
    const tls = await readTls({ tlsCert, tlsKey }, options());
    expect(tls).toEqual({
      ...pair,
      fingerprint: new X509Certificate(pair.cert).fingerprint256,
    });
  });

  it("refuses files that are missing, no PEM, of two pairs or out of date, and says so", async () => {
    const now = new Date("2027-01-01T00:00:00Z");
    const pair = await selfSignedCertificate({ hosts: ["gpu.example"], now });
    const tlsCert = await write("cert.pem", pair.cert);
    const tlsKey = await write("key.pem", pair.key);
    const other = await selfSignedCertificate({ hosts: ["gpu.example"], now });
    const otherKey = await write("other.pem", other.key);
    const text = await write("text.pem", "hello");
    const late = { ...options(), now: new Date("2029-01-01T00:00:00Z") };
    const refusals = [
      [{ tlsCert }, "--tls-cert needs --tls-key FILE"],
      [{ tlsKey }, "--tls-key needs --tls-cert FILE"],
      [{ tls: "self-signed", tlsCert, tlsKey }, "exclude each other"],
      [{ tlsCert: "/nowhere/cert.pem", tlsKey }, 'Cannot read "/nowhere/cert.pem" of --tls-cert'],
      [{ tlsCert, tlsKey: "/nowhere/key.pem" }, 'Cannot read "/nowhere/key.pem" of --tls-key'],
      [{ tlsCert: text, tlsKey }, "is no PEM certificate"],
      [{ tlsCert, tlsKey: text }, "is no PEM private key"],
      [{ tlsCert, tlsKey: otherKey }, "does not belong to the certificate"],
    ] as const;
    for (const [flags, message] of refusals) {
      await expect(readTls(flags, options()), message).rejects.toThrow(message);
    }
    await expect(readTls({ tlsCert, tlsKey }, late)).rejects.toThrow("expired on");
  });

  async function write(name: string, text: string): Promise<string> {
    const path = join(folder, name);
    await Deno.writeTextFile(path, text);
    return path;
  }
});
