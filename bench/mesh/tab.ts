import { openChromium, type OpenedChromium } from "../../tests/browser/playwright.ts";
import { bundle } from "../../tests/platform/bundle.ts";
import type { BenchMesh, ServedFiles } from "./bench_mesh.ts";

const HTML =
  '<!doctype html><title>Bench</title><script type="module" src="/tab_page.js"></script>';

/** What a tab loads from the mesh's server. */
export async function tabFiles(): Promise<ServedFiles> {
  const script = async (name: string) => ({
    type: "text/javascript",
    body: await bundle(new URL(name, import.meta.url)),
  });
  return {
    "/": { type: "text/html", body: HTML },
    "/tab_page.js": await script("tab_page.ts"),
    "/tab_worker.js": await script("tab_worker.ts"),
  };
}

/** Opens a headless Chromium whose one tab is a node of `bench`. */
export async function openTab(bench: BenchMesh) {
  const chromium: OpenedChromium = await openChromium();
  try {
    const page = await chromium.newPage();
    page.on("pageerror", (error) => console.error(error.message));
    const joined = bench.nextLink();
    await page.goto(bench.joinLink);
    return { link: await joined, close: () => chromium.close() };
  } catch (error) {
    await chromium.close();
    throw error;
  }
}
