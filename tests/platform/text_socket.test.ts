import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { openTextSocket as openBrowserSocket } from "../../src/platform/browser_socket.ts";
import type { OpenTextSocket } from "../../src/platform/platform.ts";
import { selfSignedCertificate } from "../../src/platform/self_signed.ts";
import { openTextSocket as openWsSocket } from "../../src/platform/ws_socket.ts";
import { until } from "../server/clocks.ts";

const closers: (() => void)[] = [];
afterEach(() => closers.splice(0).forEach((close) => close()));

// Deno's own WebSocket stands for the browser's.
describe.each([["ws", openWsSocket], ["browser", openBrowserSocket]] as const)(
  "the text socket of %s",
  (_, openSocket) => {
    it("opens, carries texts both ways in order, and closes once", async () => {
      const { url, clients } = await serve();
      const { socket, events } = dial(openSocket, url);
      await until(() => events.length === 1);
      const heard: string[] = [];
      clients[0]!.on("message", (text) => heard.push(text.toString()));
      for (const text of ["a", "é😀", ""]) socket.send(text);
      await until(() => heard.length === 3);
      for (const text of heard) clients[0]!.send(text);
      await until(() => events.length === 4);
      socket.close();
      await until(() => events.length === 5);
      socket.close();
      socket.send("too late");
      expect(events.slice(0, 4)).toEqual(["open", "text a", "text é😀", "text "]);
      expect(events[4]).toMatch(/^close: The connection was closed \(10\d\d/);
    });

    it("says why the server closed it", async () => {
      const { url, clients } = await serve();
      const { events } = dial(openSocket, url);
      await until(() => clients.length === 1);
      clients[0]!.close(1008, "Too many topics");
      await until(() => events.length === 2);
      expect(events[1]).toBe('close: The connection was closed (1008 "Too many topics")');
    });

    it("closes without having been open when there is no server", async () => {
      const { url, stop } = await serve();
      await stop();
      const { events } = dial(openSocket, url);
      await until(() => events.length === 1);
      expect(events[0]).toMatch(/^close: ./);
    });

    it.each(["nonsense", "ftp://127.0.0.1/"])(
      "closes after it was returned, for %j",
      async (url) => {
        const { socket, events } = dial(openSocket, url);
        expect(events).toEqual([]);
        socket.send("x");
        socket.close();
        await until(() => events.length === 1);
        expect(events[0]).toMatch(/^close: ./);
      },
    );

    it("takes 64 KiB, and closes on frames that are far longer or binary", async () => {
      const { url, clients } = await serve();
      const long = "x".repeat(64 * 1024);
      for (const [index, frame] of [Uint8Array.of(1), "é".repeat(600 * 1024)].entries()) {
        const { events } = dial(openSocket, url);
        await until(() => clients.length === index + 1);
        clients[index]!.send(long);
        clients[index]!.send(frame);
        clients[index]!.send("after");
        await until(() => events.length === 3);
        expect(events.slice(0, 2)).toEqual(["open", `text ${long}`]);
        expect(events[2]).toMatch(index === 0 ? /^close: .*binary/ : /^close: ./);
      }
    });

    it("closes when the server stops reading, instead of buffering without end", async () => {
      const { url, clients } = await serve();
      const { socket, events } = dial(openSocket, url);
      await until(() => events.length === 1 && clients.length === 1);
      clients[0]!.pause();
      const text = "x".repeat(60 * 1024);
      for (let sent = 0; sent < 2000 && events.length === 1; sent++) {
        socket.send(text);
        if (sent % 100 === 99) await new Promise((resolve) => setTimeout(resolve));
      }
      clients[0]!.terminate();
      await until(() => events.length === 2);
      expect(events[1]).toBe("close: The server reads too slowly");
    });
  },
);

describe("the text socket of ws", () => {
  it("does not mind a server that signs its own certificate", async () => {
    const http = createServer(
      await selfSignedCertificate({ hosts: ["mesh.example"], now: new Date() }),
    );
    const server = new WebSocketServer({ server: http });
    server.on("connection", (client) => client.send("hello"));
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    closers.push(() => (server.close(), http.close()));
    const { socket, events } = dial(
      openWsSocket,
      `wss://127.0.0.1:${(http.address() as AddressInfo).port}/signaling`,
    );
    await until(() => events.length === 2);
    expect(events).toEqual(["open", "text hello"]);
    socket.close();
    await until(() => events.length === 3);
  });
});

function dial(openSocket: OpenTextSocket, url: string) {
  const events: string[] = [];
  const socket = openSocket(url, {
    onOpen: () => events.push("open"),
    onMessage: (text) => events.push(`text ${text}`),
    onClose: (reason) => events.push(`close: ${reason}`),
  });
  closers.push(() => socket.close());
  return { socket, events };
}

async function serve() {
  const clients: WebSocket[] = [];
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  server.on("connection", (client) => clients.push(client));
  await new Promise((resolve) => server.once("listening", resolve));
  const stop = () => new Promise((resolve) => server.close(resolve));
  closers.push(() => {
    for (const client of clients) client.terminate();
    server.close();
  });
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`, clients, stop };
}
