/**
 * Two tabs alone hold the model, opened at http://localhost on the coordinator's machine. Others
 * know it by a name of plain HTTP.
 */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openChromium, type OpenedChromium } from "../browser/playwright.ts";
import { type CoordinatorProcess, Processes } from "../mesh/processes.ts";
import { expectGreedy, FIVE_CASES } from "./greedy_texts.ts";
import { heading, lendTab, takePictures } from "./lending_tab.ts";

const PUBLIC_URL = "http://example.test";
/** Tabs imitate their GPU on a processor that may have other work, too. */
const SLOW_MS = 600_000;
const processes = new Processes();
const pages: Page[] = [];
let coordinator: CoordinatorProcess;
let chromium: OpenedChromium;

beforeAll(async () => {
  // Small batches: a tab imitates its GPU on the processor.
  coordinator = await processes.coordinator([
    ...["--peers", "2", "--max-sequences", "8", "--max-batch-tokens", "16"],
    ...["--public-url", PUBLIC_URL],
  ]);
  const address = new URL(coordinator.url).host;
  const args = [`--host-resolver-rules=MAP example.test:80 ${address}`];
  chromium = await openChromium({ args });
});
afterAll(() => Promise.all([processes.close(), chromium?.close()]));

test("opened over plain HTTP from elsewhere, the page says what is wrong and the fix", async () => {
  expect(coordinator.link).toContain(`${PUBLIC_URL}/#`);
  const page = await chromium.newPage();
  await page.goto(coordinator.link);
  await heading(page, "This page was opened insecurely");
  expect(await page.locator("main").textContent()).toContain("--tls self-signed");
  await page.close();
});

test("two tabs share the layers, and each downloads only its own", async () => {
  const link = coordinator.link.replace(
    PUBLIC_URL,
    coordinator.url.replace("127.0.0.1", "localhost"),
  );
  for (const name of ["one", "two"]) pages.push(await lendTab(chromium, { link, name }));
  const { peers } = await processes.serving(coordinator);
  expect(peers.map(({ name }) => name).sort()).toEqual(["one", "two"]);
  for (const { name, shardBytes, downloadedBytes } of peers) {
    expect(downloadedBytes, name).toBeGreaterThan(0);
    expect(downloadedBytes, name).toBeLessThanOrEqual(shardBytes * 1.05);
  }
});

test("5 prompts of 64 tokens give the tokens of one machine", async () => {
  await expectGreedy(coordinator, FIVE_CASES);
  for (const page of pages) await heading(page, /^Serving layers?/);
}, SLOW_MS);

test("a tab that is closed is missed within 3 s, and the other gets its layers", async () => {
  await pages.shift()!.close();
  const { pipeline } = await processes.status(coordinator, ({ peers }) => peers.length === 1, {
    what: "one tab",
    withinMs: 3_000,
  });
  expect(pipeline).toEqual([]);
  await heading(pages[0]!, /^(Getting|Serving) layers 0 to 29/);
});

test("a tab whose coordinator is gone says so, and waits for it", async () => {
  coordinator.kill("SIGKILL");
  await heading(pages[0]!, "The coordinator is out of reach");
  await takePictures(pages[0]!, { folder: processes.folder, name: "coordinator-gone" });
});
