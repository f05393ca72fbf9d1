import { describe, expect, it } from "vitest";
import type { ServerOptions } from "../../src/server/options.ts";
import { fakeCluster } from "./fake_cluster.ts";
import { fakeServer, pieces } from "./fakes.ts";

const ownOrigins = [
  "http://localhost:8420",
  "http://127.0.0.1:8420",
  "http://[::1]:8420",
  "https://gpu.example.org",
];

/** What a web page cannot leave out when it makes a browser call the mesh's secret. */
const ATTACKS: readonly [string, Readonly<Record<string, string>>][] = [
  ["a name of the attacker that resolves here", { host: "evil.example:8420" }],
  ["that name with the scheme's port", { host: "evil.example" }],
  ["the attacker's name and a matching origin", {
    host: "evil.example:8420",
    origin: "http://evil.example:8420",
    "sec-fetch-site": "same-origin",
  }],
  ["0.0.0.0, which leads to this machine", { host: "0.0.0.0:8420" }],
  ["IPv6's unspecified address", { host: "[::]:8420" }],
  ["an IPv4 address mapped to IPv6", { host: "[::ffff:127.0.0.1]:8420" }],
  ["another loopback address", { host: "127.0.0.2:8420" }],
  ["a shortened address", { host: "127.1:8420" }],
  ["an address as one number", { host: "2130706433:8420" }],
  ["another port", { host: "localhost:8421" }],
  ["no port", { host: "localhost" }],
  ["a name that starts like ours", { host: "localhost.evil.example:8420" }],
  ["a name that ends like ours", { host: "evil.localhost:8420" }],
  ["a name with a trailing dot", { host: "localhost.:8420" }],
  ["credentials in front of our name", { host: "evil@localhost:8420" }],
  ["two names", { host: "localhost:8420, evil.example" }],
  ["an empty Host", { host: "" }],
  ["a name behind a wildcard resolver", { host: "127.0.0.1.nip.io:8420" }],
  ["the public name on the local port", { host: "gpu.example.org:8420" }],
  ["a page of another site", { origin: "https://evil.example" }],
  ["a page in a sandbox or a file", { origin: "null" }],
  ["a page on another port of this machine", { origin: "http://localhost:3000" }],
  ["a page of our name over HTTPS", { origin: "https://localhost:8420" }],
  ["a page of the public name over HTTP", { origin: "http://gpu.example.org" }],
  ["a page of a name that starts like ours", { origin: "http://localhost:8420.evil.example" }],
  ["an extension", { origin: "chrome-extension://abcdefgh" }],
  ["an empty origin", { origin: "" }],
  ["two origins", { origin: "http://localhost:8420 https://evil.example" }],
  ["an origin in capitals, as no browser writes it", { origin: "HTTP://LOCALHOST:8420" }],
  ["an image on another site", { "sec-fetch-site": "cross-site", "sec-fetch-dest": "image" }],
  ["a link on another site", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" }],
  ["an image on another port of this machine", { "sec-fetch-site": "same-site" }],
  ["a site in words that nobody knows", { "sec-fetch-site": "other" }],
  ["an own origin, yet cross-site", {
    origin: "http://localhost:8420",
    "sec-fetch-site": "cross-site",
  }],
];

describe("the mesh's endpoints", () => {
  it.each(ATTACKS)("refuse %s", async (_name, headers) => {
    for (
      const path of ["/cluster/join", "/cluster/join.svg", "/cluster/status", "/cluster/events"]
    ) {
      const response = await call(path, headers);
      expect(response.status, path).toBe(403);
      expect([...response.headers.keys()].filter((key) => key.startsWith("access-control")))
        .toEqual([]);
      const text = await response.text();
      expect(text).not.toContain("secret");
      expect(JSON.parse(text).error).toMatchObject({ type: "permission_error" });
    }
  });

  it("refuse a preflight of another site, without a word of CORS", async () => {
    const headers = {
      origin: "https://evil.example",
      "access-control-request-method": "GET",
      "access-control-request-private-network": "true",
    };
    const response = await call("/cluster/join", headers, { method: "OPTIONS" });
    expect(response.status).toBe(403);
    expect([...response.headers.keys()].join()).not.toContain("access-control");
  });

  it("refuse a request without Host over HTTP", async () => {
    const request = new Request("http://localhost:8420/cluster/join");
    expect((await server().fetch(request)).status).toBe(403);
  });

  it("take the authority of HTTP/2 for the Host", async () => {
    const overTls = (url: string) => server().fetch(new Request(url));
    expect((await overTls("https://gpu.example.org/cluster/join")).status).toBe(200);
    expect((await overTls("https://evil.example/cluster/join")).status).toBe(403);
  });

  it("answer the own page and programs, by each of their names", async () => {
    const allowed: Record<string, string>[] = [
      {},
      { host: "127.0.0.1:8420" },
      { host: "[::1]:8420" },
      { host: "LocalHost:8420" },
      { host: "gpu.example.org" },
      { "sec-fetch-site": "none" },
      { origin: "http://localhost:8420", "sec-fetch-site": "same-origin" },
      { host: "gpu.example.org", origin: "https://gpu.example.org" },
    ];
    for (const headers of allowed) {
      const response = await call("/cluster/join", headers);
      expect(response.status, JSON.stringify(headers)).toBe(200);
      expect(response.headers.has("access-control-allow-origin")).toBe(false);
      expect(response.headers.get("cache-control")).toBe("no-store");
    }
  });

  it("answer nobody where the server was not told its names", async () => {
    const { server } = fakeServer(pieces([]), { cluster: fakeCluster() });
    const request = new Request("http://localhost:8420/cluster/join", {
      headers: { host: "localhost:8420" },
    });
    expect((await server.fetch(request)).status).toBe(403);
  });

  it("answer by a name that the server got later", async () => {
    const names: string[] = [];
    const access = { ownOrigins: () => names, isLoopback: true };
    expect((await call("/cluster/status", {}, { access })).status).toBe(403);
    names.push("http://localhost:8420");
    expect((await call("/cluster/status", {}, { access })).status).toBe(200);
  });
});

describe("a server bound to loopback", () => {
  const paths = ["/", "/v1/models", "/health", "/version", "/assets/index-12345678.js", "/nothing"];

  it("refuses every path under a name that is not its own, and shows other sites nothing", async () => {
    for (const path of paths) {
      const response = await call(path, { host: "evil.example:8420" });
      expect(response.status, path).toBe(403);
      expect((await response.json()).error.code).toBe("host_not_allowed");
      expect(response.headers.has("access-control-allow-origin")).toBe(false);
    }
  });

  it("still lets pages of any origin call /v1", async () => {
    const response = await call("/v1/models", {
      origin: "https://app.example",
      "sec-fetch-site": "cross-site",
    });
    expect(response.status).toBe(200);
    expect(response.headers.get("access-control-allow-origin")).toBe("*");
  });

  it("bound to a network, answers /v1 under any name but not the mesh", async () => {
    const access = { ownOrigins: () => ownOrigins, isLoopback: false };
    const headers = { host: "gpu-box.lan:8420" };
    expect((await call("/v1/models", headers, { access })).status).toBe(200);
    expect((await call("/cluster/status", headers, { access })).status).toBe(403);
  });
});

function server(options: Partial<ServerOptions> = {}) {
  const { server } = fakeServer(pieces([]), {
    cluster: fakeCluster(),
    access: { ownOrigins: () => ownOrigins, isLoopback: true },
    ...options,
  });
  return server;
}

function call(
  path: string,
  headers: Readonly<Record<string, string>>,
  { method = "GET", ...options }: Partial<ServerOptions> & { method?: string } = {},
): Promise<Response> {
  return server(options).fetch(
    new Request(`http://localhost:8420${path}`, {
      method,
      headers: { host: "localhost:8420", ...headers },
    }),
  );
}
