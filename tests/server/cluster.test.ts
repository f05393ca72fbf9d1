import { describe, expect, it } from "vitest";
import type { ServerOptions } from "../../src/server/options.ts";
import { ManualClock, until } from "./clocks.ts";
import { fakeCluster } from "./fake_cluster.ts";
import { fakeServer, pieces } from "./fakes.ts";

describe("/cluster/status and /cluster/join", () => {
  it("give the mesh's state as JSON", async () => {
    const { get, cluster } = meshServer();
    cluster.change(3);
    const response = await get("/cluster/status");
    expect(response.headers.get("content-type")).toContain("application/json");
    expect(await response.json()).toEqual(cluster.status());
  });

  it("give the link as JSON, and its picture to those who ask for one", async () => {
    const { get, cluster } = meshServer();
    expect(await (await get("/cluster/join")).json()).toEqual(cluster.join());
    const accepts = ["image/svg+xml", "image/avif,image/SVG+xml;q=0.9,*/*"];
    const pictures = [
      await get("/cluster/join.svg"),
      ...await Promise.all(accepts.map((accept) => get("/cluster/join", { accept }))),
    ];
    for (const picture of pictures) {
      expect(picture.headers.get("content-type")).toBe("image/svg+xml");
      expect(picture.headers.get("content-security-policy")).toBe("default-src 'none'");
      expect(picture.headers.get("x-content-type-options")).toBe("nosniff");
      expect(await picture.text()).toBe(cluster.join().qrSvg);
    }
  });

  it("answer while the model is still loading", async () => {
    const { get } = meshServer({ isReady: () => false });
    expect((await get("/cluster/status")).status).toBe(200);
  });

  it("are not there without a mesh, and know no other path or method", async () => {
    const { get, server } = meshServer();
    expect((await get("/cluster/secrets")).status).toBe(404);
    const request = new Request("http://localhost/cluster/join", {
      method: "POST",
      headers: { host: "localhost" },
    });
    expect((await server.fetch(request)).status).toBe(405);
    expect(await (await get("/")).text()).toContain("/cluster/join");
    const alone = fakeServer(pieces([]), { access: ACCESS }).server;
    const status = new Request("http://localhost/cluster/status", {
      headers: { host: "localhost" },
    });
    expect((await alone.fetch(status)).status).toBe(404);
  });
});

describe("/cluster/events", () => {
  it("gives the state at once, then after changes, at most four times a second", async () => {
    const { cluster, clock, events } = await eventStream();
    expect(await events.next()).toEqual({ running: 0 });
    cluster.change(1);
    cluster.change(2);
    const second = events.next();
    await until(() => clock.numSleepers === 1);
    clock.advance(249);
    cluster.change(3);
    await settled();
    expect(clock.numSleepers).toBe(1);
    clock.advance(1);
    expect(await second).toEqual({ running: 3 });
  });

  it("says every 10 s that it lives", async () => {
    const { clock, cluster, events } = await eventStream();
    await events.next();
    for (let ping = 0; ping < 3; ping++) {
      const next = events.next();
      await until(() => clock.numSleepers === 1);
      clock.advance(9_999);
      await settled();
      expect(clock.numSleepers).toBe(1);
      clock.advance(1);
      expect(await next).toBe(": keep-alive\n\n");
    }
    cluster.change(7);
    expect(await events.next()).toEqual({ running: 7 });
  });

  it("keeps one event for a slow reader and gives it the newest state next", async () => {
    const { cluster, clock, events } = await eventStream();
    for (let change = 1; change <= 1000; change++) {
      cluster.change(change);
      clock.advance(250);
    }
    await settled();
    const seen = [await events.next(), await events.next()];
    expect(seen).toEqual([{ running: 0 }, { running: 1000 }]);
  });

  it("stops listening and waiting when its reader leaves", async () => {
    const { cluster, clock, events } = await eventStream();
    await events.next();
    expect(cluster.numListeners).toBe(1);
    await events.cancel();
    await until(() => cluster.numListeners === 0);
    await until(() => clock.numSleepers === 0);
  });

  it("ends when the server stops, and begins none after", async () => {
    const closing = new AbortController();
    const { get, cluster, events } = await eventStream({ closing: closing.signal });
    await events.next();
    const last = events.next();
    closing.abort();
    expect(await last).toBe(null);
    expect(cluster.numListeners).toBe(0);
    expect(await (await get("/cluster/events")).text()).toBe("");
    expect(cluster.numListeners).toBe(0);
  });

  it("is open at most 64 times", async () => {
    const { get, cluster, events } = await eventStream();
    for (let stream = 1; stream < 64; stream++) await get("/cluster/events");
    const refused = await get("/cluster/events");
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "5"]);
    expect((await refused.json()).error.code).toBe("too_many_streams");
    expect(cluster.numListeners).toBe(64);
    await events.cancel();
    await until(() => cluster.numListeners === 63);
    expect((await get("/cluster/events")).status).toBe(200);
  });
});

const ACCESS = { ownOrigins: () => ["http://localhost"], isLoopback: true };

function meshServer(options: Partial<ServerOptions> = {}) {
  const cluster = fakeCluster();
  const { server } = fakeServer(pieces([]), { cluster, access: ACCESS, ...options });
  const get = (path: string, headers: Record<string, string> = {}) =>
    server.fetch(
      new Request(`http://localhost${path}`, { headers: { host: "localhost", ...headers } }),
    );
  return { server, cluster, get };
}

/** An open stream on a clock that stands still; `next` gives the running count, text or null. */
async function eventStream(options: Partial<ServerOptions> = {}) {
  const clock = new ManualClock();
  const mesh = meshServer({ clock, ...options });
  const response = await mesh.get("/cluster/events");
  expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) throw new Error("The answer has no body");
  const next = async () => {
    const { value, done } = await reader.read();
    if (done) return null;
    const data = /^event: status\ndata: (.*)\n\n$/.exec(value)?.[1];
    return data === undefined ? value : { running: JSON.parse(data).numRunning };
  };
  return { ...mesh, clock, events: { next, cancel: () => reader.cancel() } };
}

/** Lets all promises that are due run. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
}
