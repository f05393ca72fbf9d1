/**
 * The page behind a join link lends this device's GPU. Without what follows the link's "#", it shows
 * the mesh to the person who runs it.
 *
 * @module
 */
import { render } from "preact";
import { IceServerError } from "../../src/mesh/ice_server.ts";
import { type JoinLink, JoinLinkError, parseJoinLink } from "../../src/mesh/join_link.ts";
import { browserGpu } from "../../src/platform/browser.ts";
import { systemClock } from "../../src/platform/system.ts";
import { summarizeAdapter } from "./adapter_summary.ts";
import { App } from "./app.tsx";
import { Consent } from "./consent.ts";
import { watchGoodbye } from "./goodbye.ts";
import { LendPage } from "./lend_page.ts";
import { memoryRange } from "./memory_range.ts";
import { MeshPage } from "./mesh_page.tsx";
import { MeshWatch } from "./mesh_watch.ts";
import { openPageWorker } from "./page_worker.ts";
import { problemOf } from "./problem.ts";
import { ScreenWakeLock } from "./screen_wake_lock.ts";
import { readSettings, suggestName } from "./settings.ts";
import { startPeer } from "./start_peer.ts";
import "./style.css";
import { tolerantStore } from "./text_store.ts";
import { WEIGHTS_FOLDER, WeightStorage } from "./weight_storage.ts";

const link = readLink(location.href);
const settingsStore = tolerantStore(() => localStorage);
const page = new LendPage({
  openHost: openPageWorker,
  startPeer: (options) => startPeer({ ...options, link: requireLink(link) }),
  consent: new Consent(
    tolerantStore(() => sessionStorage),
    link instanceof Error ? "" : link.room,
  ),
  settingsStore,
  storage: new WeightStorage(navigator.storage, WEIGHTS_FOLDER),
  wakeLock: new ScreenWakeLock(navigator.wakeLock, document),
  clock: systemClock,
});

const watch = new MeshWatch({
  fetch: (path, init) => fetch(path, init),
  clock: systemClock,
  keyStore: tolerantStore(() => sessionStorage),
});
const hasLink = location.hash.length > 1;

render(<Page />, document.getElementById("app")!);
watchGoodbye(globalThis, { onGo: () => page.goodbye(), onReturn: () => page.return() });
// Another link in the same tab is another mesh.
globalThis.addEventListener("hashchange", () => location.reload());
if (!hasLink) await watch.run();
await start();

function Page() {
  const mesh = watch.state.value;
  if (!hasLink && mesh.type !== "absent") {
    return <MeshPage state={mesh} onKey={(key) => watch.unlock(key)} />;
  }
  return <App state={page.state.value} actions={page} />;
}

async function start(): Promise<void> {
  const problem = problemOf({
    isSecureContext: globalThis.isSecureContext,
    origin: location.origin,
    hasWebGpu: "gpu" in navigator,
    hasWebRtc: "RTCPeerConnection" in globalThis,
    hasPrivateFiles: typeof navigator.storage?.getDirectory === "function",
    hasLink,
    linkProblem: link instanceof Error ? link.message : null,
  });
  if (problem !== null) return page.showProblem(problem);
  const [choice] = await browserGpu.listAdapters().catch(() => []);
  if (choice === undefined) return page.showProblem({ type: "no-adapter" });
  const adapter = summarizeAdapter(choice);
  const memory = memoryRange({
    deviceMemoryGiB: (navigator as { deviceMemory?: number }).deviceMemory ?? null,
    maxBufferBytes: adapter.maxBufferBytes,
  });
  const settings = readSettings(settingsStore) ??
    { name: suggestName(navigator.userAgent), memoryBytes: memory.defaultBytes };
  await page.start({ adapter, memory, settings });
}

function readLink(href: string): JoinLink | Error {
  try {
    return parseJoinLink(href);
  } catch (error) {
    if (error instanceof JoinLinkError || error instanceof IceServerError) return error;
    throw error;
  }
}

function requireLink(link: JoinLink | Error): JoinLink {
  if (link instanceof Error) throw link;
  return link;
}
