/** A headless peer and a tab, over HTTPS with the coordinator's own certificate. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { PeerStatus } from "../../src/cluster/status.ts";
import { openChromium, type OpenedChromium } from "../browser/playwright.ts";
import { type CoordinatorProcess, Processes } from "../mesh/processes.ts";
import { expectGreedy, FIVE_CASES } from "./greedy_texts.ts";
import { heading, lendTab, press, rangeText, takePictures } from "./lending_tab.ts";

const processes = new Processes();
let coordinator: CoordinatorProcess;
let chromium: OpenedChromium;
let page: Page;
/** The tab imitates its GPU on a processor that may have other work, too. */
const SLOW_MS = 300_000;

beforeAll(async () => {
  coordinator = await processes.coordinator(["--peers", "2", "--tls", "self-signed"]);
  chromium = await openChromium({ ignoreHTTPSErrors: true });
});
afterAll(() => Promise.all([processes.close(), chromium?.close()]));

test("a tab takes its share, downloads only that, and shows which layers it holds", async () => {
  expect(coordinator.link).toMatch(/^https:\/\/localhost:/);
  processes.node(coordinator.link, { name: "node" });
  page = await lendTab(chromium, { link: coordinator.link, name: "tab" });
  await processes.serving(coordinator);
  const { startLayer, endLayer, shardBytes, downloadedBytes } = await tabStatus(coordinator);
  const layers = rangeText(startLayer!, endLayer!);
  await heading(page, new RegExp(`^Serving layers? ${layers}$`));
  const numEnds = 1;
  expect(await page.locator(".tile.laid").count()).toBe(endLayer! - startLayer! + numEnds);
  expect(downloadedBytes).toBeGreaterThan(0);
  expect(downloadedBytes).toBeLessThanOrEqual(shardBytes * 1.05);
});

test(
  "5 prompts of 64 tokens give the tokens of one machine; the page shows its speed",
  async () => {
    const answers = expectGreedy(coordinator, FIVE_CASES);
    // Looked at below.
    answers.catch(() => {});
    await page.getByText("tokens per second", { exact: true }).waitFor({ timeout: 60_000 });
    expect(Number(await page.locator(".speed strong").textContent())).toBeGreaterThan(0);
    await takePictures(page, { folder: processes.folder, name: "tab-serving" });
    await answers;
    expect(await page.locator(".peers tbody tr").count()).toBe(2);
  },
  SLOW_MS,
);

test("the mesh's own page shows who holds what, and how to join", async () => {
  const mesh = await chromium.newPage();
  await mesh.goto(coordinator.url);
  await heading(mesh, "The mesh is serving");
  const { startLayer, endLayer } = await tabStatus(coordinator);
  const row = mesh.getByRole("table", { name: "Devices" }).getByRole("row", { name: /^tab/ });
  expect(await row.textContent()).toContain(`${rangeText(startLayer!, endLayer!)}Serving`);
  expect(await mesh.getByRole("table", { name: "Connections" }).locator("tbody tr").count())
    .toBe(3);
  expect(await mesh.getByLabel("Join link").inputValue()).toBe(coordinator.link);
  await takePictures(mesh, { folder: processes.folder, name: "mesh" });
  await mesh.close();
});

test("Pause gives the layers up within 3 s, Resume offers it again", async () => {
  await press(page, "Pause");
  await processes.status(coordinator, ({ peers, pipeline }) => {
    const tab = peers.find(({ name }) => name === "tab");
    return tab?.state === "paused" && tab.startLayer === null && !pipeline.includes(tab.id);
  }, { what: "a tab that is paused", withinMs: 3_000 });
  await heading(page, "Paused");
  await processes.serving(coordinator);
  await press(page, "Resume");
  // Whether it gets layers depends on what it measured: the node may be quicker alone.
  await heading(page, /^(Ready|Getting|Serving)/);
  expect((await tabStatus(coordinator)).state).not.toBe("paused");
});

test("Leave says goodbye, and the other peer answers alone", async () => {
  await press(page, "Leave");
  await heading(page, "Your GPU is yours again");
  await processes.status(coordinator, ({ peers }) => peers.length === 1, {
    what: "only the node",
    withinMs: 3_000,
  });
  await expectGreedy(coordinator, FIVE_CASES.slice(0, 1), { numTokens: 8 });
});

async function tabStatus(coordinator: CoordinatorProcess): Promise<PeerStatus> {
  const { peers } = await (await coordinator.fetch("/cluster/status")).json();
  return peers.find(({ name }: PeerStatus) => name === "tab");
}
