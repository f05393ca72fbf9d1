/** Every screen in Chromium, without a mesh behind it. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildFiles } from "../../web/build_files.ts";
import config from "../../web/vite.config.ts";
import { openChromium, type OpenedChromium } from "../browser/playwright.ts";
import { MESH_STATES, watching } from "./mesh_states.ts";
import { PAGE_STATES } from "./page_states.ts";
import { serveFiles } from "./serve_files.ts";

const SIZES = { desktop: { width: 1180, height: 860 }, phone: { width: 360, height: 740 } };
/** A folder for pictures of all screens; none are taken without it. */
const PICTURES = Deno.env.get("TESSERA_TEST_PICTURES");

/** What gallery.tsx puts into the page. */
interface Gallery {
  show(name: string): void;
  readonly taken: readonly string[];
}

describe.each(["desktop", "phone"] as const)("on a %s", (device) => {
  let server: Deno.HttpServer<Deno.NetAddr>;
  let chromium: OpenedChromium;
  let page: Page;
  const problems: string[] = [];
  beforeAll(async () => {
    const root = join(import.meta.dirname!, "gallery");
    server = serveFiles(await buildFiles({ ...config, root }));
    const colorScheme = device === "phone" ? "dark" : "light";
    chromium = await openChromium({ viewport: SIZES[device], colorScheme });
    page = await chromium.newPage();
    page.on("pageerror", (error) => problems.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error") problems.push(message.text());
    });
    await page.goto(`http://127.0.0.1:${server.addr.port}/`);
  });
  afterAll(async () => {
    await chromium?.close();
    await server?.shutdown();
  });

  test("every screen fits, has one heading, a name for every control, and no error", async () => {
    for (const name of Object.keys({ ...PAGE_STATES, ...MESH_STATES })) {
      await show(page, name);
      const found = await page.evaluate(() => ({
        overflow: document.documentElement.scrollWidth - innerWidth,
        headings: [...document.querySelectorAll("h1")].map((h1) => h1.textContent),
        status: document.querySelector("[aria-live]")?.textContent,
        unnamed: [...document.querySelectorAll("button, input")].filter((control) =>
          !control.textContent && !control.ariaLabel &&
          !(control as HTMLInputElement).labels?.length
        ).length,
      }));
      expect(found, name).toMatchObject({ overflow: 0, unnamed: 0 });
      expect(found.headings, name).toEqual([expect.stringMatching(/\w{4}/)]);
      expect(found.status, name).toMatch(/\w{4}/);
      if (PICTURES !== undefined) {
        await mkdir(PICTURES, { recursive: true });
        await page.screenshot({ path: join(PICTURES, `${device}-${name}.png`), fullPage: true });
      }
    }
    expect(problems).toEqual([]);
  });

  test("consent is given with what was chosen, by keyboard too", async () => {
    await show(page, "opening");
    await show(page, "asking");
    const slider = page.getByLabel("GPU memory to lend");
    await slider.focus();
    for (let press = 0; press < 4; press++) await page.keyboard.press("ArrowRight");
    expect(await page.locator("output").textContent()).toBe("3 GiB");
    expect(await slider.getAttribute("aria-valuetext")).toBe("3 GiB");
    await page.getByLabel("Name of this device").fill("  my desk ");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Lend my GPU" }).click();
    const agreed = `lend my desk ${3 * 2 ** 30}`;
    expect(await taken(page)).toEqual([agreed, agreed]);
  });

  test("the buttons of each screen do what they say", async () => {
    const ways = [
      ["serving", "Pause", "pause"],
      ["serving", "Leave", "leave"],
      ["paused", "Resume", "resume"],
      ["coordinator-gone", "Leave", "leave"],
      ["device-lost", "Start again", "startAgain"],
      ["device-lost", "Change settings", "askAgain"],
      ["memory", "Start again", "startAgain"],
      ["left", "Lend again", "startAgain"],
      ["left", "Delete kept weights", "deleteWeights"],
    ] as const;
    const before = (await taken(page)).length;
    for (const [screen, name] of ways) {
      await show(page, screen);
      await page.getByRole("button", { name }).first().click();
    }
    expect((await taken(page)).slice(before)).toEqual(ways.map(([, , action]) => action));
    await show(page, "serving");
    expect(await page.getByRole("button", { name: "Delete kept weights" }).isDisabled()).toBe(true);
    await show(page, "device-lost-often");
    expect(await page.getByRole("button", { name: "Start again" }).count()).toBe(0);
  });

  test("a new screen takes the focus to its heading and names itself in the title", async () => {
    await show(page, "asking");
    await page.getByLabel("Name of this device").focus();
    await show(page, "left");
    expect(await page.evaluate(() => document.activeElement?.tagName)).toBe("H1");
    await show(page, "serving");
    expect(await page.title()).toBe("Serving · Tessera");
    expect(await page.getByRole("status").first().textContent()).toBe("Serving layers 0 to 15");
  });

  test("the mesh shows who holds which layers, once for each connection, and how to join", async () => {
    await show(page, "mesh-serving");
    expect(await page.getByRole("img", { name: /^Layers/ }).getAttribute("aria-label")).toBe(
      "Layers 0 to 13: attic; Layers 14 to 23: Chrome on Windows; Layers 24 to 29: Safari on iPad",
    );
    expect(await page.getByRole("table", { name: "Devices" }).locator("tbody tr").count()).toBe(4);
    const links = page.getByRole("table", { name: "Connections" }).locator("tbody tr");
    expect(await links.allTextContents()).toContain("attic – Chrome on WindowsDirect host2.4 ms");
    expect(await links.count()).toBe(4);
    const { join } = watching({});
    expect(await page.getByLabel("Join link").inputValue()).toBe(join.link);
    expect(await page.getByLabel("Join command").inputValue()).toBe(join.command);
    expect(await page.getByRole("link").getAttribute("href")).toBe(`/${new URL(join.link).hash}`);
  });

  test("an API key is asked for where the coordinator wants one", async () => {
    await show(page, "mesh-locked");
    await page.getByLabel("API key").fill(" secret ");
    await page.keyboard.press("Enter");
    expect((await taken(page)).at(-1)).toBe("key secret");
  });

  test("a link shows how it reaches the other side, and how long that takes", async () => {
    await show(page, "serving");
    const rows = await page.locator(".peers tbody tr").allTextContents();
    expect(rows).toEqual([
      expect.stringMatching(/^Coordinator 3f9a1cDirect host4\.2 ms$/),
      expect.stringMatching(/^Device b17c02Direct, via router srflx23 ms$/),
      expect.stringMatching(/^Device 77e0a9Via a relay relay–$/),
    ]);
  });
});

/** Shows a state and waits until Preact has drawn it. */
async function show(page: Page, name: string): Promise<void> {
  await page.evaluate((name) => {
    (globalThis as unknown as Gallery).show(name);
    return new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  }, name);
}

function taken(page: Page): Promise<readonly string[]> {
  return page.evaluate(() => (globalThis as unknown as Gallery).taken);
}
