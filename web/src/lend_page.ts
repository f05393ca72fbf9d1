import { type ReadonlySignal, signal } from "@preact/signals";
import type { Clock } from "../../src/platform/platform.ts";
import type { Peer } from "../../src/peer/peer.ts";
import type { StageHost } from "../../src/stage/stage_host.ts";
import type { HeldFile } from "../../src/weights/chunk_cache.ts";
import type { AdapterSummary } from "./adapter_summary.ts";
import type { Consent } from "./consent.ts";
import type { MemoryRange } from "./memory_range.ts";
import { type Problem, problemOfError } from "./problem.ts";
import { PROBLEM_TEXTS } from "./problem_texts.ts";
import type { ScreenWakeLock } from "./screen_wake_lock.ts";
import { type Settings, writeSettings } from "./settings.ts";
import type { OpenedHost } from "./stage_host_server.ts";
import { INITIAL_STATE, type PageEvent, type PageState, reduce } from "./state.ts";
import type { TextStore } from "./text_store.ts";
import type { WeightStorage } from "./weight_storage.ts";

/** What the page asks of a peer. */
export type LentPeer = Pick<Peer, "view" | "onChange" | "pause" | "resume" | "leave">;

/** What the page works with; all of it can be had without a browser. */
export interface LendPageMeans {
  /** Opens, tests and measures the device. */
  readonly openHost: (signal: AbortSignal) => Promise<OpenedHost>;
  /** Joins the mesh with the device. */
  readonly startPeer: (
    options: {
      readonly settings: Settings;
      readonly host: StageHost;
      readonly heldFiles: () => Promise<readonly HeldFile[]>;
    },
  ) => Promise<LentPeer>;
  readonly consent: Consent;
  readonly settingsStore: TextStore;
  readonly storage: WeightStorage;
  readonly wakeLock: ScreenWakeLock;
  readonly clock: Clock;
}

/** What a person can do. */
export interface PageActions {
  /** Agrees: from here on the GPU is used and weights are downloaded. */
  lend(settings: Settings): void;
  pause(): void;
  resume(): void;
  leave(): void;
  /** Lends again with the same settings. */
  startAgain(): void;
  /** Back to the settings. */
  askAgain(): void;
  deleteWeights(): void;
}

/** One time of lending, from agreeing to leaving. */
interface Lending {
  readonly abort: AbortController;
  host: StageHost | null;
  peer: LentPeer | null;
}

/** How often figures are read again without the peer saying that they changed. */
const TICK_MS = 1_000;

/** The page's life: owns the device and the peer while lending, and the state that is shown. */
export class LendPage implements PageActions {
  readonly #means: LendPageMeans;
  readonly #state = signal<PageState>(INITIAL_STATE);
  #lending: Lending | null = null;

  constructor(means: LendPageMeans) {
    this.#means = means;
  }

  get state(): ReadonlySignal<PageState> {
    return this.#state;
  }

  /** Shows why the page cannot lend here. */
  showProblem(problem: Problem): void {
    this.#dispatch({ type: "found-problem", problem });
  }

  /** Asks the person, or lends at once when this tab was given consent before a reload. */
  async start(
    found: {
      readonly adapter: AdapterSummary;
      readonly memory: MemoryRange;
      readonly settings: Settings;
    },
  ): Promise<void> {
    this.#dispatch({ type: "found-adapter", ...found });
    if (this.#means.consent.isGiven) this.startAgain();
    await this.#measureStorage();
  }

  lend(settings: Settings): void {
    this.#end();
    this.#means.consent.give();
    writeSettings(this.#means.settingsStore, settings);
    const lending: Lending = { abort: new AbortController(), host: null, peer: null };
    this.#lending = lending;
    this.#dispatch({ type: "agreed", settings });
    this.#run(lending, settings).catch((error) => this.#fail(lending, problemOfError(error)));
  }

  pause(): void {
    void this.#lending?.peer?.pause();
  }

  resume(): void {
    this.#lending?.peer?.resume();
  }

  leave(): void {
    this.#means.consent.takeBack();
    this.#end();
    this.#dispatch({ type: "left" });
    void this.#measureStorage();
  }

  startAgain(): void {
    this.lend(this.#state.value.settings);
  }

  askAgain(): void {
    this.#means.consent.takeBack();
    this.#end();
    this.#dispatch({ type: "asked-again" });
    void this.#measureStorage();
  }

  deleteWeights(): void {
    this.#means.storage.clear().then(
      () => this.#dispatch({ type: "storage-noted", note: "The weights are deleted" }),
      (error) => {
        const note = `The weights are still in use, perhaps by another tab: ${error.message}`;
        this.#dispatch({ type: "storage-noted", note });
      },
    ).finally(() => this.#measureStorage());
  }

  /** The page goes away: says goodbye and gives the GPU back, at once. */
  goodbye(): void {
    this.#end();
  }

  /** The page came back from the browser's memory of pages. */
  return(): void {
    const { type } = this.#state.value.screen;
    if (type === "testing" || type === "lending") this.startAgain();
  }

  async #run(lending: Lending, settings: Settings): Promise<void> {
    const { signal } = lending.abort;
    // Not waited for: some browsers ask the person, who may not answer.
    void this.#means.storage.keep();
    const { host, warnings, heldFiles } = await this.#means.openHost(signal);
    if (signal.aborted) return host.close();
    lending.host = host;
    host.lost.then((error) => this.#fail(lending, { type: "device-lost", reason: error.message }));
    this.#dispatch({ type: "device-opened", device: host.device, warnings });
    const peer = await this.#means.startPeer({
      settings,
      heldFiles,
      host,
    });
    if (signal.aborted) return void peer.leave();
    lending.peer = peer;
    const unlisten = peer.onChange(() => this.#show(lending, peer));
    signal.addEventListener("abort", unlisten);
    this.#show(lending, peer);
    await this.#tick(lending, peer);
  }

  #show(lending: Lending, peer: LentPeer): void {
    if (this.#lending !== lending) return;
    const view = peer.view();
    this.#dispatch({ type: "peer-changed", view, atMs: this.#means.clock.now() });
    if (view.state === "loading" || view.state === "serving") this.#means.wakeLock.hold();
    else this.#means.wakeLock.release();
    if (view.state === "refused" || view.state === "left") this.#end();
  }

  async #tick(lending: Lending, peer: LentPeer): Promise<void> {
    const { signal } = lending.abort;
    while (!signal.aborted) {
      // Rejects only when aborted.
      await this.#means.clock.sleep(TICK_MS, signal).catch(() => {});
      if (signal.aborted) return;
      this.#show(lending, peer);
      this.#dispatch({ type: "second-passed" });
      if (this.#state.value.peer?.state === "loading") await this.#measureStorage();
    }
  }

  #fail(lending: Lending, problem: Problem): void {
    if (this.#lending !== lending) return;
    this.#means.consent.takeBack();
    this.#end(PROBLEM_TEXTS[problem.type].title);
    this.#dispatch({ type: "failed", problem, atMs: this.#means.clock.now() });
    void this.#measureStorage();
  }

  #end(reason = "The page stopped lending"): void {
    const lending = this.#lending;
    if (lending === null) return;
    this.#lending = null;
    this.#means.wakeLock.release();
    // The peer goes first: its goodbye leaves before anything is torn down.
    lending.peer?.leave(reason).catch(() => {});
    lending.abort.abort(new Error(reason));
    lending.host?.close();
  }

  async #measureStorage(): Promise<void> {
    this.#dispatch({ type: "storage-measured", storage: await this.#means.storage.measure() });
  }

  #dispatch(event: PageEvent): void {
    this.#state.value = reduce(this.#state.value, event);
  }
}
