import { afterEach, expect, it } from "vitest";
import { type HttpServer, type HttpServerOptions, serveHttp } from "../../signaling/http_server.ts";
import { SignalingServer } from "../../signaling/server.ts";
import { signalingEndpoint } from "../../signaling/socket_endpoint.ts";
import { selfSignedCertificate } from "../../src/platform/self_signed.ts";
import { realClock, until } from "../server/clocks.ts";
import { RealClient } from "./real_server.ts";

const servers: HttpServer[] = [];

async function start(
  handle: HttpServerOptions["handle"],
  options: Partial<HttpServerOptions> = {},
): Promise<{ url: string; port: number; server: HttpServer }> {
  const server = await serveHttp({ hostname: "127.0.0.1", port: 0, handle, ...options });
  servers.push(server);
  return { url: `http://127.0.0.1:${server.port}`, port: server.port, server };
}

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

it("passes method, URL, headers, body and address on, and the answer back", async () => {
  const { url } = await start(async (request, address) => {
    const seen = [request.method, new URL(request.url).pathname, request.headers.get("x-a")];
    const headers = new Headers([["set-cookie", "a=1"], ["set-cookie", "b=2"]]);
    return new Response(JSON.stringify([...seen, await request.text(), address]), {
      ...{ status: 201, headers },
    });
  });
  const body = "x".repeat(1_000_000);
  const answer = await fetch(`${url}/a?b`, { method: "POST", body, headers: { "x-a": "ü" } });
  expect(answer.status).toBe(201);
  expect(answer.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
  expect(await answer.json()).toEqual(["POST", "/a", "ü", body, "127.0.0.1"]);
});

it("streams, no faster than the client reads, and cancels when it hangs up", async () => {
  let numChunks = 0;
  const ended: string[] = [];
  const { url } = await start((request) => {
    request.signal.addEventListener("abort", () => ended.push("abort"));
    return new Response(
      new ReadableStream({
        pull(controller) {
          numChunks++;
          controller.enqueue(new Uint8Array(64 * 1024));
        },
        cancel: () => void ended.push("cancel"),
      }),
    );
  });
  const { body } = await fetch(url);
  const reader = body!.getReader();
  await reader.read();
  let before = -1;
  while (numChunks !== before) {
    before = numChunks;
    await realClock.sleep(100);
  }
  // 20 MiB: more than both ends of a connection keep.
  expect(numChunks).toBeLessThan(320);
  await reader.cancel();
  await until(() => ended.length === 2, 2000);
  expect(ended.toSorted()).toEqual(["abort", "cancel"]);
});

it("does not abort a request that was answered", async () => {
  const aborted: string[] = [];
  const { url, server } = await start((request) => {
    request.signal.addEventListener("abort", () => aborted.push(request.url));
    return new Response("done");
  });
  for (let i = 0; i < 3; i++) expect(await (await fetch(url)).text()).toBe("done");
  await server.close();
  expect(aborted).toEqual([]);
});

it("answers 400 to what is no request and goes on", async () => {
  const { port, url } = await start(() => new Response("fine"));
  for (const start of ["GET // HTTP/1.1\r\nHost: a b", "TRACE / HTTP/1.1\r\nHost: a"]) {
    const socket = await Deno.connect({ hostname: "127.0.0.1", port });
    await socket.write(new TextEncoder().encode(`${start}\r\nConnection: close\r\n\r\n`));
    const text = await new Response(socket.readable).text();
    expect(text, start).toMatch(/^HTTP\/1\.1 400 /);
  }
  expect(await (await fetch(url)).text()).toBe("fine");
});

it("shutdown() waits for the answer that is running to leave, not for WebSockets", async () => {
  const gate = Promise.withResolvers<void>();
  const signaling = new SignalingServer({ clock: realClock });
  const { upgrade } = signalingEndpoint(signaling);
  const text = "x".repeat(1_000_000);
  const { url, port, server } = await start(async () => {
    await gate.promise;
    return new Response(text);
  }, { upgrade });
  const peer = await RealClient.open(`ws://127.0.0.1:${port}`);
  const answer = fetch(url).then((response) => response.text());
  await realClock.sleep(50);
  let isDown = false;
  const down = server.shutdown().then(() => isDown = true);
  await realClock.sleep(50);
  expect(isDown).toBe(false);
  gate.resolve();
  expect(await answer).toBe(text);
  await down;
  await peer.settle();
  await server.close();
  expect((await peer.closed).code).toBe(1006);
  await until(() => signaling.counts().connections === 0);
});

it("an error of the handler is a 500, the next request is answered", async () => {
  let numAsked = 0;
  const { url } = await start(() => {
    if (numAsked++ === 0) throw new Error("This one is meant to be seen");
    return new Response("fine");
  });
  const logged: unknown[] = [];
  const { error } = console;
  console.error = (...values) => void logged.push(...values);
  const failed = await fetch(url);
  console.error = error;
  expect([failed.status, await failed.text(), logged.length]).toEqual([500, "", 1]);
  expect(await (await fetch(url)).text()).toBe("fine");
});

it("a port that is taken is an error", async () => {
  const { port } = await start(() => new Response());
  await expect(serveHttp({ hostname: "127.0.0.1", port, handle: () => new Response() }))
    .rejects.toThrow();
});

it("HTTPS and WSS share a port", async () => {
  const tls = await selfSignedCertificate({ hosts: ["localhost"], now: new Date() });
  const signaling = new SignalingServer({ clock: realClock });
  const endpoint = signalingEndpoint(signaling, { path: "/signaling" });
  const { port } = await start((request) => new Response(request.url), {
    ...{ tls, upgrade: endpoint.upgrade },
  });
  const client = Deno.createHttpClient({ caCerts: [tls.cert] });
  const answer = await fetch(`https://localhost:${port}/page`, { client } as RequestInit);
  expect(await answer.text()).toBe(`https://localhost:${port}/page`);
  client.close();
  const peer = await RealClient.open(`wss://localhost:${port}/signaling`, { ca: tls.cert });
  await peer.settle();
  expect(signaling.counts().connections).toBe(1);
});
