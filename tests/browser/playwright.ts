import { type BrowserContext, chromium, type Page } from "playwright-core";
import { findProgram } from "../platform/find_program.ts";

/** A headless Chromium whose pages have WebGPU, on its software adapter. */
export interface OpenedChromium {
  /** For what Playwright offers beyond pages. */
  readonly context: BrowserContext;
  newPage(): Promise<Page>;
  close(): Promise<void>;
}

/** How to open it. */
export interface ChromiumOptions {
  /** Take certificates that nobody vouches for. */
  readonly ignoreHTTPSErrors?: boolean;
  /** Of the pages, in CSS pixels. */
  readonly viewport?: { readonly width: number; readonly height: number };
  /** More flags of Chromium. */
  readonly args?: readonly string[];
  readonly colorScheme?: "light" | "dark";
}

const LAUNCH_DEADLINE_MS = 30_000;

/** Starts Chromium with a profile of its own, which `close()` removes. */
export async function openChromium(
  { args = [], ...options }: ChromiumOptions = {},
): Promise<OpenedChromium> {
  const browser = await chromium.launch({
    executablePath: await findProgram("chromium"),
    timeout: LAUNCH_DEADLINE_MS,
    args: [
      // Without it there is no adapter; with the next, the same one on machines with a GPU.
      "--enable-unsafe-webgpu",
      "--use-webgpu-adapter=swiftshader",
      ...(Deno.uid() === 0 ? ["--no-sandbox"] : []),
      ...args,
    ],
  });
  const context = await browser.newContext(options);
  return {
    context,
    newPage: () => context.newPage(),
    close: () => browser.close(),
  };
}
