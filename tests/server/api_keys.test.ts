import { describe, expect, it } from "vitest";
import { ApiKeys } from "../../src/server/api_keys.ts";
import { ManualClock } from "./clocks.ts";
import { fakeCluster } from "./fake_cluster.ts";
import { fakeServer, pieces, post } from "./fakes.ts";

const messages = [{ role: "user", content: "Hi" }];

describe("a server with API keys", () => {
  it("wants one of them for /v1 and the mesh, in OpenAI's words", async () => {
    const { call } = keyServer();
    for (const path of ["/v1/models", "/v1/nothing", "/cluster/status", "/cluster/join"]) {
      const response = await call(path);
      expect(response.status, path).toBe(401);
      expect(response.headers.get("www-authenticate")).toBe("Bearer");
      expect((await response.json()).error).toMatchObject({
        type: "authentication_error",
        code: "invalid_api_key",
      });
    }
    for (const key of ["sk-first", "sk-second"]) {
      expect((await call("/v1/models", { authorization: `Bearer ${key}` })).status).toBe(200);
      expect((await call("/cluster/join", { authorization: `bearer  ${key}` })).status).toBe(200);
    }
  });

  it("lets the page, health and preflights through", async () => {
    const { call, server } = keyServer();
    for (const path of ["/", "/health", "/version"]) {
      expect((await call(path)).status, path).toBe(200);
    }
    const preflight = new Request("http://localhost/v1/chat/completions", {
      method: "OPTIONS",
      headers: {
        host: "localhost",
        origin: "https://app.example",
        "access-control-request-method": "POST",
      },
    });
    expect((await server.fetch(preflight)).status).toBe(204);
  });

  it("refuses before it reads the body, and lets other pages read why", async () => {
    const { server } = keyServer();
    const init = { headers: { host: "localhost", origin: "https://app.example" } };
    const response = await post(server, "/v1/chat/completions", { messages }, init);
    expect(response.status).toBe(401);
    expect(response.headers.get("access-control-allow-origin")).toBe("*");
  });

  it("takes nothing but a whole key as a bearer", async () => {
    const attempts = [
      ...["Bearer", "Bearer ", "Bearer sk-firs", "Bearer sk-first1", "Bearer SK-FIRST"],
      ...["Basic sk-first", "sk-first", "Bearer sk-first,sk-second", "Bearer sk-first sk-second"],
    ];
    for (const [index, authorization] of attempts.entries()) {
      const { call } = keyServer();
      expect((await call("/v1/models", { authorization })).status, `${index}`).toBe(401);
    }
  });

  it("refuses an address for a minute after 10 wrong keys, and no other", async () => {
    const clock = new ManualClock();
    const { call } = keyServer(clock);
    const wrong = { authorization: "Bearer sk-guess" };
    const right = { authorization: "Bearer sk-first" };
    for (let attempt = 0; attempt < 10; attempt++) {
      expect((await call("/v1/models", {}, "10.0.0.1")).status).toBe(401);
      expect((await call("/v1/models", wrong, "10.0.0.1")).status).toBe(401);
      expect((await call("/v1/models", right, "10.0.0.2")).status).toBe(200);
      clock.advance(1000);
    }
    for (const headers of [wrong, right]) {
      const response = await call("/v1/models", headers, "10.0.0.1");
      expect([response.status, response.headers.get("retry-after")]).toEqual([429, "50"]);
      expect((await response.json()).error.code).toBe("too_many_wrong_keys");
    }
    expect((await call("/v1/models", right, "10.0.0.2")).status).toBe(200);
    clock.advance(50_000);
    expect((await call("/v1/models", right, "10.0.0.1")).status).toBe(200);
    expect((await call("/v1/models", wrong, "10.0.0.1")).status).toBe(401);
  });

  it("remembers the last 4096 addresses that were wrong", async () => {
    const keys = new ApiKeys(["right"], new ManualClock());
    const guess = (address: string) =>
      keys.require("Bearer wrong", address).catch((error) => error.status);
    for (let attempt = 0; attempt < 10; attempt++) expect(await guess("first")).toBe(401);
    expect(await guess("first")).toBe(429);
    for (let other = 0; other < 4096; other++) await guess(`10.0.${other >> 8}.${other & 255}`);
    expect(await guess("first")).toBe(401);
  });

  it("refuses to start with an empty key", () => {
    for (const key of ["", " "]) {
      expect(() => new ApiKeys(["right", key], new ManualClock())).toThrow("An API key is empty");
    }
  });
});

function keyServer(clock = new ManualClock()) {
  const { server } = fakeServer(pieces([]), {
    clock,
    cluster: fakeCluster(),
    access: {
      ownOrigins: () => ["http://localhost"],
      isLoopback: true,
      apiKeys: ["sk-first", "sk-second"],
    },
  });
  const call = (path: string, headers: Record<string, string> = {}, remoteAddress = "10.0.0.9") =>
    server.fetch(
      new Request(`http://localhost${path}`, { headers: { host: "localhost", ...headers } }),
      { remoteAddress },
    );
  return { server, call };
}
