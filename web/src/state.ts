/**
 * What the page shows, as a pure function of what happened.
 *
 * @module
 */
import type { DeviceReport } from "../../src/stage/stage_host.ts";
import type { AdapterSummary } from "./adapter_summary.ts";
import { clampMemory, GIB, type MemoryRange } from "./memory_range.ts";
import type { PeerView } from "../../src/peer/peer_view.ts";
import type { Problem } from "./problem.ts";
import { NO_RATE, type Rate, withReading } from "./rate.ts";
import type { Settings } from "./settings.ts";
import type { StorageUse } from "./weight_storage.ts";

/** Which screen is on. */
export type Screen =
  /** Looking at the browser and its adapter. */
  | { readonly type: "opening" }
  /** Waiting for the person to agree. */
  | { readonly type: "asking" }
  /** The worker opens, tests and measures the device. */
  | { readonly type: "testing" }
  /** The peer runs; its view says what it does. */
  | { readonly type: "lending" }
  | { readonly type: "left" }
  | { readonly type: "problem"; readonly problem: Problem };

/** Everything that is shown. */
export interface PageState {
  readonly screen: Screen;
  readonly adapter: AdapterSummary | null;
  readonly memory: MemoryRange;
  readonly settings: Settings;
  readonly storage: StorageUse | null;
  /** What happened to the kept weights when they were to be deleted. */
  readonly storageNote: string | null;
  /** Tested and measured; null before. */
  readonly device: DeviceReport | null;
  readonly warnings: readonly string[];
  readonly peer: PeerView | null;
  /** Bytes over the network while loading. */
  readonly download: Rate;
  /** Tokens per second over the last minute, one a second, oldest first. */
  readonly speeds: readonly number[];
  /** When the device was lost, in the last minutes. */
  readonly lossTimesMs: readonly number[];
}

/** What can happen. */
export type PageEvent =
  | { readonly type: "found-problem"; readonly problem: Problem }
  | {
    readonly type: "found-adapter";
    readonly adapter: AdapterSummary;
    readonly memory: MemoryRange;
    readonly settings: Settings;
  }
  | { readonly type: "agreed"; readonly settings: Settings }
  | {
    readonly type: "device-opened";
    readonly device: DeviceReport;
    readonly warnings: readonly string[];
  }
  | { readonly type: "peer-changed"; readonly view: PeerView; readonly atMs: number }
  /** Once a second while lending. */
  | { readonly type: "second-passed" }
  | { readonly type: "failed"; readonly problem: Problem; readonly atMs: number }
  | { readonly type: "left" }
  | { readonly type: "asked-again" }
  | { readonly type: "storage-measured"; readonly storage: StorageUse | null }
  | { readonly type: "storage-noted"; readonly note: string | null };

export const INITIAL_STATE: PageState = {
  screen: { type: "opening" },
  adapter: null,
  memory: { minBytes: GIB, maxBytes: GIB, stepBytes: GIB, defaultBytes: GIB },
  settings: { name: "", memoryBytes: GIB },
  storage: null,
  storageNote: null,
  device: null,
  warnings: [],
  peer: null,
  download: NO_RATE,
  speeds: [],
  lossTimesMs: [],
};

const MAX_SPEEDS = 60;
const MAX_LOSSES = 3;
const LOSS_WINDOW_MS = 600_000;

/** The state after `event`. Events that come too late for their screen change nothing. */
export function reduce(state: PageState, event: PageEvent): PageState {
  const isLending = state.screen.type === "lending";
  switch (event.type) {
    case "found-problem":
      return { ...state, screen: { type: "problem", problem: event.problem } };
    case "found-adapter": {
      const { adapter, memory, settings } = event;
      const memoryBytes = clampMemory(settings.memoryBytes, memory);
      const screen: Screen = { type: "asking" };
      return { ...state, screen, adapter, memory, settings: { ...settings, memoryBytes } };
    }
    case "agreed":
      return { ...idle(state), screen: { type: "testing" }, settings: event.settings };
    case "device-opened": {
      if (state.screen.type !== "testing") return state;
      const { device, warnings } = event;
      return { ...state, screen: { type: "lending" }, device, warnings };
    }
    case "peer-changed":
      return isLending ? withView(state, event) : state;
    case "second-passed":
      return isLending ? withSpeed(state) : state;
    case "failed":
      return failed(state, event);
    case "left":
      return { ...state, screen: { type: "left" } };
    case "asked-again":
      return { ...idle(state), screen: { type: "asking" } };
    case "storage-measured":
      return { ...state, storage: event.storage };
    case "storage-noted":
      return { ...state, storageNote: event.note };
  }
}

/** The state without what the last lending left behind. */
function idle(state: PageState): PageState {
  const { peer, device, warnings, download, speeds, storageNote } = INITIAL_STATE;
  return { ...state, peer, device, warnings, download, speeds, storageNote };
}

function withView(
  state: PageState,
  { view, atMs }: Extract<PageEvent, { type: "peer-changed" }>,
): PageState {
  if (view.state === "refused") {
    const problem: Problem = { type: "refused", reason: view.note ?? "No reason was given" };
    return { ...state, peer: view, screen: { type: "problem", problem } };
  }
  if (view.state === "left") return { ...state, peer: view, screen: { type: "left" } };
  const download = view.state === "loading" && view.load !== null
    ? withReading(state.download, { atMs, count: view.load.downloadedBytes })
    : NO_RATE;
  return { ...state, peer: view, download };
}

function withSpeed(state: PageState): PageState {
  if (state.peer?.state !== "serving") return state;
  return { ...state, speeds: [...state.speeds, state.peer.tokensPerS].slice(-MAX_SPEEDS) };
}

function failed(
  state: PageState,
  { problem, atMs }: Extract<PageEvent, { type: "failed" }>,
): PageState {
  if (problem.type !== "device-lost") return { ...state, screen: { type: "problem", problem } };
  const recent = state.lossTimesMs.filter((lossMs) => atMs - lossMs < LOSS_WINDOW_MS);
  const lossTimesMs = [...recent, atMs];
  const type = lossTimesMs.length >= MAX_LOSSES ? "device-lost-often" : "device-lost";
  return { ...state, lossTimesMs, screen: { type: "problem", problem: { ...problem, type } } };
}
