import { describe, expect, it } from "vitest";
import {
  isLoopbackHost,
  joinAddress,
  type ListenAddress,
  type NetworkAddress,
} from "../../src/cli/join_address.ts";

const loopback: NetworkAddress = { name: "lo", family: "IPv4", address: "127.0.0.1" };
const wifi: NetworkAddress = { name: "wlan0", family: "IPv4", address: "192.168.1.20" };
const docker: NetworkAddress = { name: "docker0", family: "IPv4", address: "172.17.0.1" };

describe("joinAddress()", () => {
  it("leads to this machine alone when bound to loopback, and says how to let others join", () => {
    expect(join({ host: "127.0.0.1" })).toEqual({
      origin: "http://localhost:8420",
      alternatives: ["http://127.0.0.1:8420"],
      note: 'This link works only on this machine: add "--host 0.0.0.0 --tls self-signed" ' +
        "to let others join",
    });
    expect(join({ host: "::1" })).toMatchObject({
      origin: "http://localhost:8420",
      alternatives: ["http://[::1]:8420"],
    });
    expect(join({ host: "localhost", isTls: true }).origin).toBe("https://localhost:8420");
  });

  it("leads to the network's address over HTTPS", () => {
    expect(join({ host: "0.0.0.0", isTls: true })).toEqual({
      origin: "https://192.168.1.20:8420",
      alternatives: [
        "https://172.17.0.1:8420",
        "https://localhost:8420",
        "https://127.0.0.1:8420",
      ],
      note: null,
    });
  });

  it("says that browsers elsewhere need HTTPS when there is none", () => {
    for (const host of ["0.0.0.0", "192.168.1.20"]) {
      const { origin, note } = join({ host });
      expect(origin).toBe("http://192.168.1.20:8420");
      expect(note).toContain("--tls self-signed");
      expect(note).toContain("deno task node");
    }
  });

  it("takes the address that is most likely the network's", () => {
    const origins = (addresses: readonly [string, string][]) => {
      const networkAddresses = addresses.map(([name, address]): NetworkAddress => ({
        ...{ name, address },
        family: address.includes(":") ? "IPv6" : "IPv4",
      }));
      const { origin, alternatives } = join({ host: "::", isTls: true, networkAddresses });
      return [origin, ...alternatives].map((text) => new URL(text).hostname);
    };
    expect(origins([
      ["lo", "::1"],
      ["eth0", "fe80::1"],
      ["eth0", "fd00::2"],
      ["eth1", "169.254.3.4"],
      ["br-12ab", "192.168.100.1"],
      ["eth2", "203.0.113.7"],
      ["eth3", "172.20.0.9"],
      ["eth4", "10.0.0.9"],
      ["eth5", "192.168.0.9"],
    ])).toEqual([
      ...["192.168.0.9", "10.0.0.9", "172.20.0.9", "203.0.113.7", "[fd00::2]", "192.168.100.1"],
      ...["localhost", "127.0.0.1", "[::1]"],
    ]);
  });

  it("falls back to this machine where there is no network", () => {
    const { origin, note } = join({ host: "0.0.0.0", isTls: true, networkAddresses: [loopback] });
    expect(origin).toBe("https://localhost:8420");
    expect(note).toContain("no network address");
  });

  it("leads to the public URL, whatever it listens on", () => {
    expect(join({ host: "127.0.0.1", publicUrl: "https://gpu.example.org/" })).toEqual({
      origin: "https://gpu.example.org",
      alternatives: ["http://localhost:8420", "http://127.0.0.1:8420"],
      note: null,
    });
    expect(join({ publicUrl: "http://gpu.example.org:81" }).note).toContain("only over HTTPS");
    expect(join({ publicUrl: "http://localhost:8420" })).toMatchObject({
      alternatives: ["http://127.0.0.1:8420"],
      note: expect.stringContaining("only on this machine"),
    });
  });

  it("leaves out the port that the scheme implies", () => {
    expect(join({ host: "192.168.1.20", port: 443, isTls: true }).origin)
      .toBe("https://192.168.1.20");
  });

  it("refuses a public URL that is more or less than an origin", () => {
    for (
      const publicUrl of [
        ...["", "gpu.example.org", "ftp://gpu.example.org", "ws://gpu.example.org"],
        ...["https://gpu.example.org/mesh", "https://gpu.example.org/?a", "https://u:p@a.example"],
        "https://gpu.example.org/#v1",
      ]
    ) {
      expect(() => join({ publicUrl }), publicUrl).toThrow(`--public-url "${publicUrl}"`);
    }
  });
});

describe("isLoopbackHost()", () => {
  it("knows the names of this machine and no others", () => {
    for (const host of ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "::1", "[::1]"]) {
      expect(isLoopbackHost(host), host).toBe(true);
    }
    for (
      const host of ["0.0.0.0", "::", "128.0.0.1", "localhost.evil.example", "127.0.0.1.nip.io"]
    ) {
      expect(isLoopbackHost(host), host).toBe(false);
    }
  });
});

function join(listen: Partial<ListenAddress>) {
  return joinAddress({
    host: "127.0.0.1",
    port: 8420,
    isTls: false,
    networkAddresses: [loopback, docker, wifi],
    ...listen,
  });
}
