import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  ExposureError,
  type Gateway,
  type GatewayFlags,
  openGateway,
} from "../../src/cli/gateway.ts";
import type { Server } from "../../src/server/server.ts";
import { fakeServer, silent } from "../server/fakes.ts";

const gateways: Gateway[] = [];
let cache: string;
beforeEach(async () => {
  cache = await Deno.makeTempDir();
  Deno.env.set("TESSERA_CACHE", cache);
});
afterEach(async () => {
  for (const gateway of gateways.splice(0)) await gateway.close();
  Deno.env.delete("TESSERA_CACHE");
  await Deno.remove(cache, { recursive: true });
});

async function open(
  flags: Partial<GatewayFlags> = {},
  serverNow: () => Server | null = () => null,
): Promise<Gateway> {
  const gateway = await openGateway({ host: "127.0.0.1", port: 0, ...flags }, serverNow);
  gateways.push(gateway);
  return gateway;
}

/** A server whose every answer is "here". */
const SERVER = {
  fetch: (request: Request) => Promise.resolve(new Response(`here: ${request.url}`)),
} as unknown as Server;

describe("the coordinator's port", () => {
  test("is not opened to others without a key, and the error names the fix", async () => {
    for (const host of ["0.0.0.0", "::", "192.0.2.1", "gpu.example.org"]) {
      const opened = open({ host });
      await expect(opened).rejects.toThrow(ExposureError);
      await expect(opened).rejects.toThrow(
        `Others reach "${host}": choose a key that they must know, with --api-key KEY or ` +
          "TESSERA_API_KEY",
      );
    }
  });

  test("says that a port is taken, and what to do", async () => {
    const { localUrl } = await open();
    const port = Number(new URL(localUrl).port);
    await expect(open({ port })).rejects.toThrow(
      `Cannot listen on 127.0.0.1:${port}: choose another with --port`,
    );
  });

  test("answers 503 until the server is there, and says that it is signaling", async () => {
    let server: Server | null = null;
    const { localUrl } = await open({}, () => server);
    const early = await fetch(`${localUrl}/v1/models`);
    expect([early.status, early.headers.get("retry-after")]).toEqual([503, "2"]);
    expect(await early.json()).toEqual({
      error: {
        message: "The model is still loading: try again in a moment",
        type: "server_error",
        param: null,
        code: "not_ready",
      },
    });
    expect(await (await fetch(`${localUrl}/signaling`)).text()).toBe("okay");
    server = SERVER;
    expect(await (await fetch(`${localUrl}/v1/models`)).text()).toBe(`here: ${localUrl}/v1/models`);
  });

  test("is signaling for those who ask for a WebSocket, while the model loads, too", async () => {
    const { localSignalingUrl } = await open();
    const socket = new WebSocket(localSignalingUrl);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    socket.onopen = () => socket.send(JSON.stringify({ type: "ping" }));
    socket.onmessage = ({ data }) => resolve(JSON.parse(data));
    socket.onerror = reject;
    expect(await promise).toEqual({ type: "pong" });
    socket.close();
  });

  test("has the names of its own origins, and lets in the page of no other", async () => {
    const { access, address, localUrl, signalingUrl, localSignalingUrl } = await open();
    const { port } = new URL(localUrl);
    expect(access.ownOrigins()).toEqual([`http://localhost:${port}`, `http://127.0.0.1:${port}`]);
    expect(access).toMatchObject({ isLoopback: true });
    expect(access.apiKeys).toBe(undefined);
    expect(address.origin).toBe(`http://localhost:${port}`);
    expect(signalingUrl).toBe(`ws://localhost:${port}/signaling`);
    expect(localSignalingUrl).toBe(`ws://127.0.0.1:${port}/signaling`);
    const { server } = fakeServer(silent(), { access });
    for (const origin of ["http://evil.example", "null", `http://localhost:${Number(port) + 1}`]) {
      const url = `http://localhost:${port}/cluster/status`;
      const { status } = await server.fetch(
        new Request(url, { headers: { origin, host: `localhost:${port}` } }),
      );
      expect(status, origin).toBe(403);
    }
  });

  test("behind a proxy its own origins are the proxy's, too", async () => {
    const { access, address, signalingUrl, localUrl } = await open({
      publicUrl: "https://gpu.example.org",
      apiKey: ["key"],
    });
    expect(address.origin).toBe("https://gpu.example.org");
    expect(signalingUrl).toBe("wss://gpu.example.org/signaling");
    expect(access.ownOrigins()).toContain("https://gpu.example.org");
    expect(access.ownOrigins()).toContain(localUrl);
    expect(access.apiKeys).toEqual(["key"]);
    await expect(open({ publicUrl: "gpu.example.org" })).rejects.toThrow("is no origin");
  });

  test("speaks TLS with a certificate of its own", async () => {
    const { localUrl, localSignalingUrl, signalingUrl } = await open({ tls: "self-signed" });
    expect(localUrl).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    expect(localSignalingUrl).toMatch(/^wss:\/\/127/);
    expect(signalingUrl).toMatch(/^wss:\/\/localhost/);
  });

  test("drain() waits for answers that run and ends what streams for ever", async () => {
    const answer = Promise.withResolvers<Response>();
    const asking = Promise.withResolvers<void>();
    const slow = {
      fetch: () => {
        asking.resolve();
        return answer.promise;
      },
    } as unknown as Server;
    const gateway = await open({}, () => slow);
    const asked = fetch(`${gateway.localUrl}/v1/completions`);
    await asking.promise;
    let isDrained = false;
    const drained = gateway.drain().then(() => isDrained = true);
    expect(gateway.closing.aborted).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isDrained).toBe(false);
    answer.resolve(new Response("the end"));
    expect(await (await asked).text()).toBe("the end");
    await drained;
  });
});
