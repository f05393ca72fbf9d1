import { X509Certificate } from "node:crypto";
import { describe, expect, it } from "vitest";
import { selfSignedCertificate } from "../../src/platform/self_signed.ts";

const DAY_MS = 86_400_000;
const hosts = ["localhost", "127.0.0.1", "::1", "192.168.7.20", "fd00::1:2", "gpu-box.local"];

describe("selfSignedCertificate()", () => {
  it("makes what Deno serves and a client that trusts it alone accepts, by name and address", async () => {
    const { cert, key } = await selfSignedCertificate({ hosts, now: new Date() });
    const onListen = () => {};
    const server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, cert, key, onListen },
      () => new Response("secure"),
    );
    const trusting = Deno.createHttpClient({ caCerts: [cert] });
    const { cert: other } = await selfSignedCertificate({ hosts, now: new Date() });
    const stranger = Deno.createHttpClient({ caCerts: [other] });
    const get = async (host: string, client: Deno.HttpClient) => {
      const response = await fetch(`https://${host}:${server.addr.port}/`, { client });
      return await response.text();
    };
    expect(await get("localhost", trusting)).toBe("secure");
    expect(await get("127.0.0.1", trusting)).toBe("secure");
    await expect(get("localhost", stranger)).rejects.toThrow();
    trusting.close();
    stranger.close();
    await server.shutdown();
  });

  it("is for its hosts, for a server, for 397 days", async () => {
    const now = new Date("2027-03-04T05:06:07.890Z");
    const certificate = new X509Certificate((await selfSignedCertificate({ hosts, now })).cert);
    expect(certificate.subjectAltName).toBe(
      "DNS:localhost, IP Address:127.0.0.1, IP Address:::1, IP Address:192.168.7.20, " +
        "IP Address:fd00::1:2, DNS:gpu-box.local",
    );
    expect(certificate.validFromDate.toISOString()).toBe("2027-03-03T05:06:07.000Z");
    const validMs = certificate.validToDate.getTime() - certificate.validFromDate.getTime();
    expect(validMs).toBe(397 * DAY_MS);
    expect(certificate.ca).toBe(false);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.checkHost("evil.example")).toBe(undefined);
  });

  it("writes dates beyond 2049, signatures of any length and serial numbers of its own", async () => {
    const certificates = await Promise.all(
      Array.from({ length: 40 }, async () => {
        const now = new Date("2049-12-31T00:00:00Z");
        return new X509Certificate((await selfSignedCertificate({ hosts: ["a"], now })).cert);
      }),
    );
    for (const certificate of certificates) {
      expect(certificate.validToDate.getUTCFullYear()).toBe(2051);
      expect(certificate.verify(certificate.publicKey)).toBe(true);
    }
    expect(new Set(certificates.map(({ serialNumber }) => serialNumber)).size).toBe(40);
  });

  it("refuses what is no host", async () => {
    const now = new Date();
    for (const host of ["", "a b", "a/b", "a:1", "http://a", "[::1]", "u@a", "a?b"]) {
      await expect(selfSignedCertificate({ hosts: [host], now }), host).rejects.toThrow(
        `Cannot certify "${host}"`,
      );
    }
    await expect(selfSignedCertificate({ hosts: [], now })).rejects.toThrow("at least one host");
  });
});
