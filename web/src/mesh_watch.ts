import { type ReadonlySignal, signal } from "@preact/signals";
import type { ClusterStatus, JoinInstructions } from "../../src/cluster/status.ts";
import type { Clock } from "../../src/platform/platform.ts";
import { readEvents } from "./read_events.ts";
import type { TextStore } from "./text_store.ts";

/** What is known of the mesh behind the page's own origin. */
export type MeshState =
  | { readonly type: "opening" }
  /** Nothing answers for a mesh here: a static host. */
  | { readonly type: "absent" }
  /** The coordinator wants an API key; the one that was given was wrong. */
  | { readonly type: "locked"; readonly isWrong: boolean }
  /** The coordinator does not talk to this page. */
  | { readonly type: "refused"; readonly reason: string }
  | {
    readonly type: "watching";
    readonly status: ClusterStatus;
    readonly join: JoinInstructions;
    /** Tokens per second over the last minute, about one a second, oldest first. */
    readonly speeds: readonly number[];
    /** False while the coordinator is out of reach. */
    readonly isLive: boolean;
  };

/** What watching takes. */
export interface MeshWatchMeans {
  readonly fetch: (path: string, init: RequestInit) => Promise<Response>;
  readonly clock: Clock;
  /** Keeps the API key. */
  readonly keyStore: TextStore;
}

const RETRY_MS = 2_000;
const SPEED_MS = 900;
const MAX_SPEEDS = 60;
const KEY = "tessera.apiKey";

/** Follows the mesh as its coordinator tells it, for the person who runs it. */
export class MeshWatch {
  readonly #means: MeshWatchMeans;
  readonly #state = signal<MeshState>({ type: "opening" });
  #unlocked = Promise.withResolvers<void>();
  #lastSpeedMs = -Infinity;

  constructor(means: MeshWatchMeans) {
    this.#means = means;
  }

  get state(): ReadonlySignal<MeshState> {
    return this.#state;
  }

  /** Tries again with this API key. */
  unlock(key: string): void {
    this.#means.keyStore.setItem(KEY, key);
    this.#unlocked.resolve();
  }

  /** Watches until it turns out that there is nothing to watch. */
  async run(): Promise<void> {
    while (true) {
      const isOver = await this.#follow().catch(() => false);
      if (isOver) return;
      const state = this.#state.value;
      if (state.type === "watching" && state.isLive) {
        this.#state.value = { ...state, isLive: false };
      }
      if (this.#state.value.type === "locked") await this.#unlocked.promise;
      else await this.#means.clock.sleep(RETRY_MS);
    }
  }

  /** True when there is no mesh to follow. Throws when the coordinator is out of reach. */
  async #follow(): Promise<boolean> {
    const answer = await this.#get("/cluster/join");
    const isJson = answer.headers.get("content-type")?.startsWith("application/json") === true;
    if (answer.status === 401) return this.#lock();
    if (answer.status === 404 || !isJson) return this.#end({ type: "absent" });
    const body = await answer.json();
    if (answer.status === 403) return this.#end({ type: "refused", reason: body.error.message });
    // It is still starting.
    if (!answer.ok) return false;
    const events = await this.#get("/cluster/events");
    if (!events.ok || events.body === null) return false;
    for await (const data of readEvents(events.body)) this.#show(body, JSON.parse(data));
    return false;
  }

  #show(join: JoinInstructions, status: ClusterStatus): void {
    const { value } = this.#state;
    let speeds = value.type === "watching" ? value.speeds : [];
    const nowMs = this.#means.clock.now();
    if (nowMs - this.#lastSpeedMs > SPEED_MS) {
      this.#lastSpeedMs = nowMs;
      speeds = [...speeds, status.tokensPerS].slice(-MAX_SPEEDS);
    }
    this.#state.value = { type: "watching", status, join, speeds, isLive: true };
  }

  #end(state: MeshState): true {
    this.#state.value = state;
    return true;
  }

  #lock(): false {
    this.#unlocked = Promise.withResolvers();
    this.#state.value = { type: "locked", isWrong: this.#key() !== null };
    return false;
  }

  #key(): string | null {
    return this.#means.keyStore.getItem(KEY);
  }

  #get(path: string): Promise<Response> {
    const key = this.#key();
    const headers: HeadersInit = key === null ? {} : { authorization: `Bearer ${key}` };
    return this.#means.fetch(path, { headers });
  }
}
