import type { CoordinatorControl, PeerControl } from "../mesh/control.ts";
import type { PeerLink } from "../mesh/peer_link.ts";
import type { HiddenType } from "../pipeline/hidden_wire.ts";
import { MeshPipeline } from "../pipeline/mesh_pipeline.ts";
import type { PlacedStage } from "../pipeline/placement.ts";
import type { Clock } from "../platform/platform.ts";
import type { ModelCosts } from "../stage/model_costs.ts";
import type { StageLimits } from "../stage/stage_limits.ts";
import type { ManifestShelf } from "./manifest_shelf.ts";
import type { Member } from "./member.ts";
import { roomAfterRefusal } from "./memory_refusal.ts";

/** A pipeline that is to be. */
export interface PipelineStartOptions {
  readonly epoch: number;
  readonly stages: readonly PlacedStage[];
  readonly memberOf: (peerId: string) => Member | undefined;
  readonly shelf: ManifestShelf;
  readonly costs: ModelCosts;
  /** Of this epoch. */
  readonly limits: StageLimits;
  /** The least that a pool may have. */
  readonly leastBlocks: number;
  readonly isDeterministic: boolean | null;
  readonly useF16Kv: boolean | null;
  readonly hiddenType: HiddenType;
  /** Runs batches of every kind, so that no request waits for what a first one needs. */
  readonly warmUp: (
    pipeline: Pick<MeshPipeline, "forward" | "numStages">,
    limits: StageLimits,
  ) => Promise<void>;
  readonly clock: Clock;
}

/** A stage's device had no room: the next plan asks less of it. */
export class NoRoomError extends Error {
  override readonly name = "NoRoomError";
}

/** Why a peer does not hold its shard. */
export type LoadFailure = Omit<Extract<PeerControl, { type: "load-failed" }>, "type" | "epoch">;

/** A peer that loads nothing for this long has failed. */
const STALL_MS = 120_000;
const WATCH_MS = 1_000;

/** Tells peers their shards, waits until all of them are ready, and warms the pipeline up. */
export class PipelineStart {
  readonly #options: PipelineStartOptions;
  readonly #waitingFor: Set<string>;
  readonly #loaded = Promise.withResolvers<void>();
  readonly #cancelling = new AbortController();
  /** While it is warmed up. */
  #pipeline: MeshPipeline | null = null;

  constructor(options: PipelineStartOptions) {
    this.#options = options;
    this.#waitingFor = new Set(options.stages.map(({ peerId }) => peerId));
  }

  /** A pipeline that takes batches. Throws when a stage fails, leaves or makes no progress. */
  async run(): Promise<MeshPipeline> {
    const { epoch, stages, limits, warmUp, clock } = this.#options;
    this.#loaded.promise.catch(() => {});
    await this.#order();
    this.#watch();
    await this.#loaded.promise;
    const links = stages.map(({ peerId }) => this.#linkOf(peerId));
    const pipeline = this.#pipeline = new MeshPipeline({ epoch, links, clock });
    try {
      await warmUp(pipeline, limits);
      this.#cancelling.signal.throwIfAborted();
      return pipeline;
    } catch (error) {
      pipeline.close("It did not start");
      throw error;
    }
  }

  /** A peer holds its shard. */
  ready(member: Member): void {
    if (!this.#waitingFor.delete(member.link.peerId)) return;
    member.state = "ready";
    if (this.#waitingFor.size === 0) this.#loaded.resolve();
  }

  /** A peer cannot hold its shard. */
  fail(member: Member, failure: LoadFailure): void {
    if (!this.#waitingFor.has(member.link.peerId)) return;
    const { reason, isOutOfMemory } = failure;
    const nowMs = this.#options.clock.now();
    if (isOutOfMemory) {
      const roomBytes = this.#roomOf(member, failure);
      member.runOutOfMemory(reason, { roomBytes, nowMs });
    } else {
      member.fail(reason, nowMs);
    }
    const text = `"${member.offer?.name}" cannot hold its layers: ${reason}`;
    this.#end(isOutOfMemory ? new NoRoomError(text) : new Error(text));
  }

  /** A stage could not run a step of the warm-up. */
  failStep(stepId: number, failure: { readonly stageIndex: number; readonly reason: string }) {
    this.#pipeline?.failStep(stepId, failure);
  }

  /** It is of no use any more. */
  cancel(reason: string): void {
    this.#end(new Error(reason));
  }

  #end(error: Error): void {
    this.#cancelling.abort(error);
    this.#loaded.reject(error);
    this.#pipeline?.close(error.message);
  }

  async #order(): Promise<void> {
    const { epoch, stages, shelf, limits, ...chosen } = this.#options;
    const { isDeterministic, useF16Kv, hiddenType } = chosen;
    for (const [i, { peerId, shard }] of stages.entries()) {
      const { shardBytes, ...manifest } = await shelf.manifest(shard);
      this.#cancelling.signal.throwIfAborted();
      const member = this.#memberOf(peerId);
      Object.assign(member, { state: "loading", shard, shardBytes, load: null, note: null });
      member.link.sendControl(
        {
          ...{ type: "load", epoch, ...manifest, shard, limits },
          ...{ isDeterministic, useF16Kv, hiddenType },
          previous: stages[i - 1]?.peerId ?? null,
          next: stages[i + 1]?.peerId ?? null,
        } satisfies CoordinatorControl,
      );
    }
  }

  #roomOf(member: Member, { loadedBytes }: LoadFailure): number {
    const { stages, costs, limits, leastBlocks, useF16Kv } = this.#options;
    const { shard } = stages.find(({ peerId }) => peerId === member.link.peerId)!;
    const { numBlocks } = limits;
    const usesF16Kv = member.candidate(useF16Kv)?.usesF16Kv ?? false;
    return roomAfterRefusal({ costs, shard, usesF16Kv, numBlocks, leastBlocks, loadedBytes });
  }

  #memberOf(peerId: string): Member {
    const member = this.#options.memberOf(peerId);
    if (member === undefined) throw new Error(`Peer ${peerId} left`);
    return member;
  }

  #linkOf(peerId: string): PeerLink {
    return this.#memberOf(peerId).link;
  }

  /** Looks for peers that make no progress. */
  async #watch(): Promise<void> {
    const { clock, memberOf } = this.#options;
    const { signal } = this.#cancelling;
    const seen = new Map<string, { readonly loadedBytes: number; readonly sinceMs: number }>();
    while (this.#waitingFor.size > 0 && !signal.aborted) {
      const nowMs = clock.now();
      for (const peerId of this.#waitingFor) {
        const member = memberOf(peerId);
        const loadedBytes = member?.load?.loadedBytes ?? 0;
        const last = seen.get(peerId);
        if (last === undefined || last.loadedBytes !== loadedBytes) {
          seen.set(peerId, { loadedBytes, sinceMs: nowMs });
        } else if (member !== undefined && nowMs - last.sinceMs > STALL_MS) {
          const reason = `It loaded nothing for ${STALL_MS / 1000} s`;
          this.fail(member, { reason, isOutOfMemory: false, loadedBytes });
        }
      }
      await clock.sleep(WATCH_MS, signal).catch(() => {});
    }
  }
}
