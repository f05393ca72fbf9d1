/** The built page in Chromium, with its worker and GPU; no mesh answers. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildFiles } from "../../web/build_files.ts";
import config from "../../web/vite.config.ts";
import { openChromium, type OpenedChromium } from "../browser/playwright.ts";
import { serveFiles } from "./serve_files.ts";

const LINK = "#v1.AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA";
const DEADLINE = { timeout: 30_000 };

describe("the page", () => {
  let server: Deno.HttpServer<Deno.NetAddr>;
  let chromium: OpenedChromium;
  let origin: string;
  beforeAll(async () => {
    server = serveFiles(await buildFiles(config));
    origin = `http://127.0.0.1:${server.addr.port}`;
    // A name that is not of this machine, as other devices see the coordinator.
    const args = ["--host-resolver-rules=MAP other.test 127.0.0.1"];
    chromium = await openChromium({ args });
  });
  afterAll(async () => {
    await chromium?.close();
    await server?.shutdown();
  });

  test("asks first, then opens the worker's device, and goes on after a reload", async () => {
    const page = await chromium.newPage();
    const requests: string[] = [];
    page.on("request", (request) => requests.push(request.url()));
    await page.goto(`${origin}/${LINK}`);
    await heading(page, "Lend this GPU to a mesh");
    expect(requests.filter((url) => /worker/.test(url))).toEqual([]);
    expect(await page.getByRole("alert").textContent()).toContain("No GPU was found");
    await page.getByRole("button", { name: "Lend my GPU" }).click();
    await heading(page, "Connecting");
    expect(await page.locator(".facts").textContent()).toMatch(/Memory reads[\d.,]+ GB\/s/);
    expect(requests.every((url) => url.startsWith(`${origin}/`) || url.startsWith("data:")))
      .toBe(true);
    await page.reload();
    await heading(page, "Connecting");
    await page.getByRole("button", { name: "Leave" }).click();
    await heading(page, "Your GPU is yours again");
    await page.reload();
    await heading(page, "Lend this GPU to a mesh");
    await page.close();
  });

  test("says so when it was opened insecurely, from another device", async () => {
    const page = await chromium.newPage();
    const other = `http://other.test:${server.addr.port}`;
    await page.goto(`${other}/${LINK}`);
    await heading(page, "This page was opened insecurely");
    const text = await page.locator("main").textContent();
    expect(text).toContain("deno task run --tls self-signed");
    expect(text).toContain(`Opened from ${other}`);
    await page.close();
  });

  test("says so when the link is missing or damaged, and reads a link pasted after it", async () => {
    const page = await chromium.newPage();
    await page.goto(origin);
    await heading(page, "This page needs a join link");
    await page.goto(`${origin}/${LINK.slice(0, -3)}`);
    await heading(page, "This join link is damaged");
    expect(await page.locator(".note").textContent()).toContain("cut off in its secret");
    await page.goto(`${origin}/${LINK}`);
    await heading(page, "Lend this GPU to a mesh");
    await page.close();
  });

  test("names the browsers that can when this one has no WebGPU", async () => {
    const page = await chromium.newPage();
    await page.addInitScript(() => {
      delete (Object.getPrototypeOf(navigator) as { gpu?: unknown }).gpu;
    });
    await page.goto(`${origin}/${LINK}`);
    await heading(page, "This browser cannot lend a GPU");
    const text = await page.locator("main").textContent();
    expect(text).toContain("Missing: WebGPU");
    for (const name of ["Chrome", "Safari", "Firefox"]) expect(text).toContain(name);
    await page.close();
  });
});

async function heading(page: Page, name: string): Promise<void> {
  await page.getByRole("heading", { level: 1, name }).waitFor(DEADLINE);
}
