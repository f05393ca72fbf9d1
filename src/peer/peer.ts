/**
 * The role that lends a device: joins the mesh, waits for a shard, serves it until told to leave.
 *
 * @module
 */
import {
  type CoordinatorControl,
  MAX_HELD_FILES,
  MAX_LINKS,
  MAX_NAME_LENGTH,
  type PeerControl,
  PROTOCOL,
} from "../mesh/control.ts";
import { parseCoordinatorControl } from "../mesh/parse_control.ts";
import type { Mesh } from "../mesh/mesh.ts";
import type { PeerLink } from "../mesh/peer_link.ts";
import { MAX_READ_BYTES, WeightReads } from "../mesh/weight_reads.ts";
import type { Clock, Rng } from "../platform/platform.ts";
import type { StageHost } from "../stage/stage_host.ts";
import { type PeerState, type PeerView, viewOf } from "./peer_view.ts";
import { RateMeter } from "../pipeline/rate_meter.ts";
import { callForCoordinator } from "./call_for_coordinator.ts";
import { ShardHolder } from "./shard_holder.ts";

/** What a peer lends, and how it reaches others. */
export interface PeerOptions {
  /** Becomes the peer's own: it is closed when the peer leaves. */
  readonly mesh: Mesh;
  /** Stays the caller's; holds nothing once the peer has left. */
  readonly host: StageHost;
  /** For people. */
  readonly name: string;
  readonly version: string;
  /** Lent memory. */
  readonly memoryBytes: number;
  /** What is in the cache already. */
  readonly heldFiles: () => Promise<readonly { readonly key: string; readonly bytes: number }[]>;
  readonly clock: Clock;
  readonly rng: Rng;
  /** The only coordinator to obey; by default, and with null, whoever welcomes the peer first. */
  readonly coordinatorId?: string | null;
  readonly onNotice?: (text: string) => void;
}

const STATS_MS = 1_000;

type Welcome = Extract<CoordinatorControl, { type: "welcome" }>;

interface Session {
  readonly link: PeerLink;
  readonly reads: WeightReads;
  readonly holder: ShardHolder;
  readonly modelName: string;
}

/** One lent device. */
export class Peer {
  readonly #options: PeerOptions;
  readonly #listeners = new Set<() => void>();
  readonly #leaving = new AbortController();
  /** Aborted while there is a coordinator. */
  #searching = new AbortController();
  readonly #rate = new RateMeter();
  #session: Session | null = null;
  #isPaused = false;
  #hadCoordinator = false;
  #refusal: string | null = null;
  #note: string | null = null;
  /** Resolves when the shard of the last session is gone. */
  #unloaded: Promise<void> = Promise.resolve();
  /** Of links that are closed. */
  #pastBytes = { in: 0, out: 0 };

  constructor(options: PeerOptions) {
    this.#options = options;
    const { mesh, host, onNotice } = options;
    mesh.listen({
      onLink: (link) => this.#greet(link),
      ...(onNotice && { onNotice }),
    });
    host.lost.then((error) => this.leave(error.message));
    this.#search();
    this.#report();
  }

  /** Tells of every change of the view. Returns how to stop. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  view(): PeerView {
    const { mesh } = this.#options;
    return viewOf({
      ...{ peerId: mesh.peerId, state: this.#state(), note: this.#refusal ?? this.#note },
      modelName: this.#session?.modelName ?? null,
      coordinator: this.#session?.link ?? null,
      holder: this.#session?.holder ?? null,
      tokensPerS: this.#rate.perSecond,
      links: mesh.links,
      pastBytes: this.#pastBytes,
    });
  }

  /** Gives up the shard and takes no other until `resume`. */
  async pause(): Promise<void> {
    this.#isPaused = true;
    this.#send({ type: "pause" });
    await this.#session?.holder.unload("Paused by its owner");
    this.#changed();
  }

  resume(): void {
    this.#isPaused = false;
    this.#send({ type: "resume" });
    this.#changed();
  }

  /** Says goodbye, frees the shard and closes the mesh. Calling it again does nothing. */
  async leave(reason = "Left"): Promise<void> {
    if (this.#leaving.signal.aborted) return;
    this.#leaving.abort(new Error(reason));
    this.#note = reason;
    const session = this.#session;
    this.#options.mesh.close(reason);
    await session?.holder.unload(reason);
    await this.#unloaded;
    this.#changed();
  }

  #state(): PeerState {
    if (this.#refusal !== null) return "refused";
    if (this.#leaving.signal.aborted) return "left";
    if (this.#session === null) return this.#hadCoordinator ? "coordinator-gone" : "connecting";
    if (this.#isPaused) return "paused";
    if (this.#session.holder.isServing) return "serving";
    return this.#session.holder.shard === null ? "waiting" : "loading";
  }

  /** Whoever says "welcome" first is the coordinator, unless it is known who must be. */
  #greet(link: PeerLink): void {
    const { coordinatorId = null } = this.#options;
    const mayBeCoordinator = coordinatorId === null || coordinatorId === link.peerId;
    link.listen({
      onControl: (value) => {
        const message = parseCoordinatorControl(value);
        if (message === null) return;
        if (message.type === "welcome") {
          if (mayBeCoordinator) this.#join(link, message);
        } else if (this.#session?.link === link) this.#obey(message);
      },
      onClose: (reason) => {
        this.#pastBytes.in += link.stats.bytesIn;
        this.#pastBytes.out += link.stats.bytesOut;
        if (this.#session?.link === link) this.#loseCoordinator(reason);
      },
    });
  }

  #join(link: PeerLink, { model, protocol }: Welcome): void {
    if (this.#leaving.signal.aborted || this.#session?.link.closedReason === null) return;
    if (protocol !== PROTOCOL) {
      return this.#refused(`The coordinator speaks protocol ${protocol}, this peer ${PROTOCOL}`);
    }
    const { mesh, host, clock, name, version, memoryBytes, heldFiles } = this.#options;
    link.allowPayload(MAX_READ_BYTES);
    const reads = new WeightReads(link, clock);
    const onChange = () => this.#changed();
    const holder = new ShardHolder({
      ...{ mesh, host, coordinator: link, reads, clock, memoryBytes, onChange },
      after: this.#unloaded,
    });
    this.#searching.abort();
    this.#session = { link, reads, holder, modelName: model };
    this.#hadCoordinator = true;
    this.#note = null;
    this.#changed();
    // A cache that cannot be read is as good as empty.
    heldFiles().catch(() => []).then((held) =>
      link.sendControl(
        {
          ...{ type: "join", protocol: PROTOCOL, version, memoryBytes },
          name: name.slice(0, MAX_NAME_LENGTH),
          device: host.device,
          heldFiles: held.slice(0, MAX_HELD_FILES),
          isPaused: this.#isPaused,
        } satisfies PeerControl,
      )
    );
  }

  #refused(reason: string): void {
    this.#refusal = reason;
    void this.leave(reason);
  }

  #obey(message: Exclude<CoordinatorControl, Welcome>): void {
    const { reads, holder } = this.#session!;
    switch (message.type) {
      case "load":
        // It was sent before the coordinator heard of the pause.
        if (this.#isPaused) return;
        this.#note = null;
        return holder.take(message);
      case "refuse":
        return this.#refused(message.reason);
      case "unload":
        this.#note = message.reason;
        return void holder.unload(message.reason);
      case "read-failed":
        return reads.fail(message.id, message.reason);
      default:
        return message satisfies never;
    }
  }

  #loseCoordinator(reason: string): void {
    const session = this.#session;
    this.#session = null;
    this.#note = reason;
    if (session !== null) this.#unloaded = session.holder.unload(reason);
    this.#changed();
    if (!this.#leaving.signal.aborted) this.#search();
  }

  #search(): void {
    const { mesh, clock, rng } = this.#options;
    this.#searching = new AbortController();
    const signal = AbortSignal.any([this.#leaving.signal, this.#searching.signal]);
    const onSilence = () => this.#explainSilence();
    void callForCoordinator({ mesh, clock, rng, signal, onSilence });
  }

  #explainSilence(): void {
    this.#note = this.#options.mesh.isConnected
      ? "No coordinator answers: is it running, and is the link the one that it printed last?"
      : "The signaling server cannot be reached: is the coordinator running, and the link right?";
    this.#changed();
  }

  async #report(): Promise<void> {
    const { mesh, clock } = this.#options;
    try {
      while (true) {
        await clock.sleep(STATS_MS, this.#leaving.signal);
        const stats = this.#session?.holder.stats;
        this.#rate.record(stats?.numTokens ?? 0, clock.now());
        this.#send({
          type: "stats",
          numTokens: stats?.numTokens ?? 0,
          numSteps: stats?.numSteps ?? 0,
          busyMs: stats?.busyMs ?? 0,
          numRefused: stats?.numRefused ?? 0,
          links: mesh.links.slice(0, MAX_LINKS).map(({ peerId: to, stats }) => ({ to, ...stats })),
        });
        this.#changed();
      }
    } catch {
      // Left.
    }
  }

  #send(message: PeerControl): void {
    this.#session?.link.sendControl(message);
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
