/** A browser tab that lends its GPU, as its owner uses it. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { expect } from "vitest";
import type { OpenedChromium } from "../browser/playwright.ts";

const DEADLINE = { timeout: 60_000 };
const PHONE = { width: 360, height: 740 };
const DESKTOP = { width: 1180, height: 900 };

/** Opens the join link and agrees. */
export async function lendTab(
  chromium: OpenedChromium,
  { link, name }: { readonly link: string; readonly name: string },
): Promise<Page> {
  const page = await chromium.newPage();
  await page.goto(link);
  await page.getByLabel("Name of this device").fill(name);
  await page.getByRole("button", { name: "Lend my GPU" }).click();
  return page;
}

/** Waits for the page's heading. */
export async function heading(page: Page, name: string | RegExp): Promise<void> {
  await page.getByRole("heading", { level: 1, name }).waitFor(DEADLINE);
}

/** Layers [startLayer, endLayer) as the page writes them. */
export function rangeText(startLayer: number, endLayer: number): string {
  return endLayer - startLayer === 1 ? `${startLayer}` : `${startLayer} to ${endLayer - 1}`;
}

/** Clicks one of the page's buttons. */
export async function press(page: Page, name: string): Promise<void> {
  await page.getByRole("button", { name, exact: true }).click();
}

/** Takes a picture of a page, wide and as a phone shows it, and holds it to its width. */
export async function takePictures(
  page: Page,
  { folder, name }: { readonly folder: string; readonly name: string },
): Promise<void> {
  const pictures = Deno.env.get("TESSERA_TEST_PICTURES") ?? folder;
  await mkdir(pictures, { recursive: true });
  for (const [size, viewport] of Object.entries({ phone: PHONE, desktop: DESKTOP })) {
    await page.setViewportSize(viewport);
    const overflow = await page.evaluate(() =>
      document.documentElement.scrollWidth - globalThis.innerWidth
    );
    expect(overflow, size).toBe(0);
    await page.screenshot({ path: join(pictures, `${name}-${size}.png`), fullPage: true });
  }
}
