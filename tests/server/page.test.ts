import { describe, expect, it } from "vitest";
import type { ReadAsset } from "../../src/server/page.ts";
import { fakeServer, pieces } from "./fakes.ts";

const HTML = "text/html,application/xhtml+xml,*/*;q=0.8";
const FILES: Readonly<Record<string, [text: string, contentType: string]>> = {
  "index.html": ["<!doctype html>", "text/html; charset=utf-8"],
  "icon.svg": ["<svg/>", "image/svg+xml"],
  "assets/index-4fK9x_2a.js": ["run()", "text/javascript; charset=utf-8"],
  "assets/plain.js": ["run()", "text/javascript; charset=utf-8"],
  "some-icons12.png": ["png", "image/png"],
};

describe("the page", () => {
  it("is what browsers get at the root; others get the usage", async () => {
    const { get } = pageServer();
    const page = await get("/", { accept: HTML });
    expect(await page.text()).toBe("<!doctype html>");
    expect(page.headers.get("vary")).toContain("accept");
    for (const accept of ["*/*", "application/json"]) {
      expect(await (await get("/", { accept })).text()).toContain("/v1/chat/completions");
    }
    expect(await (await get("/index.html")).text()).toBe("<!doctype html>");
  });

  it("may run and load only what is its own, and be framed by nobody", async () => {
    const { get } = pageServer();
    for (const path of ["/", "/assets/index-4fK9x_2a.js", "/icon.svg"]) {
      const { headers } = await get(path, { accept: HTML });
      expect(headers.get("content-security-policy")).toBe(
        "default-src 'self'; connect-src 'self' ws: wss: https: http://localhost:* " +
          "http://127.0.0.1:*; worker-src 'self' blob:; img-src 'self' data:; " +
          "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
      );
      expect(headers.get("referrer-policy")).toBe("no-referrer");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
    }
  });

  it("is kept for ever where the name has a hash of the content, else asked for again", async () => {
    const { get } = pageServer();
    const caching = async (path: string) => (await get(path)).headers.get("cache-control");
    expect(await caching("/assets/index-4fK9x_2a.js")).toBe("public, max-age=31536000, immutable");
    for (const path of ["/index.html", "/icon.svg", "/assets/plain.js", "/some-icons12.png"]) {
      expect(await caching(path), path).toBe("no-cache");
    }
  });

  it("answers HEAD with the headers alone", async () => {
    const { server } = pageServer();
    const request = new Request("http://local/icon.svg", { method: "HEAD" });
    const response = await server.fetch(request);
    expect([response.status, response.headers.get("content-length")]).toEqual([200, "6"]);
    expect(await response.text()).toBe("");
  });

  it("never asks for a file that is hidden, above the folder or oddly named", async () => {
    const { get, asked } = pageServer();
    for (
      const path of [
        ...["/../secret", "/assets/../../secret", "/%2e%2e/secret", "/%2e%2e%2fsecret"],
        ...["/..%5csecret", "/assets/..%2f..%2fsecret", "//etc/passwd", "/assets//index.js"],
        ...["/.env", "/assets/.git/config", "/a%00.js", "/C:/secret", "/a/", "/ä.js"],
        ...["/....//secret", "/-rf", "/file:%2f%2f/etc/passwd"],
      ]
    ) {
      expect((await get(path)).status, path).toBe(404);
    }
    // What the URL's own rules make of "..", before anything is read.
    expect(new Set(asked)).toEqual(new Set(["secret"]));
  });

  it("leaves everything else as it was", async () => {
    const { get, server } = pageServer();
    const missing = await get("/assets/gone-12345678.js");
    expect(missing.status).toBe(404);
    expect((await missing.json()).error.code).toBe("unknown_route");
    const request = new Request("http://local/icon.svg", { method: "POST" });
    expect((await server.fetch(request)).status).toBe(404);
    expect((await get("/v1/models")).status).toBe(200);
    const without = fakeServer(pieces([])).server;
    const root = await without.fetch(new Request("http://local/", { headers: { accept: HTML } }));
    expect(await root.text()).toContain("/v1/chat/completions");
  });

  it("gives the usage where it was not built", async () => {
    const { server } = fakeServer(pieces([]), { page: () => Promise.resolve(null) });
    const root = await server.fetch(new Request("http://local/", { headers: { accept: HTML } }));
    expect(await root.text()).toContain("/v1/chat/completions");
  });
});

function pageServer() {
  const asked: string[] = [];
  const page: ReadAsset = (path) => {
    asked.push(path);
    const file = FILES[path];
    if (!file) return Promise.resolve(null);
    const [text, contentType] = file;
    return Promise.resolve({ bytes: new TextEncoder().encode(text), contentType });
  };
  const { server } = fakeServer(pieces([]), { page });
  const get = (path: string, headers: Record<string, string> = {}) =>
    server.fetch(new Request(`http://local${path}`, { headers }));
  return { server, get, asked };
}
