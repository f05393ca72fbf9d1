/**
 * The coordinator's side of the mesh: gives layers to the peers that are there, and keeps one
 * pipeline running over them.
 *
 * @module
 */
import type { Batch, TokenOutput } from "../core.ts";
import type { EnginePipeline } from "../engine.ts";
import type { Mesh } from "../mesh/mesh.ts";
import type { HiddenType } from "../pipeline/hidden_wire.ts";
import type { PoolBounds } from "../pipeline/kv_pool.ts";
import type { MeshPipeline } from "../pipeline/mesh_pipeline.ts";
import { PipelineLostError } from "../pipeline/pipeline_lost_error.ts";
import type { PlaceLayers } from "../pipeline/place_evenly.ts";
import { type PlacedStage, placeLayers } from "../pipeline/placement.ts";
import type { Clock, Rng } from "../platform/platform.ts";
import type { ModelCosts } from "../stage/model_costs.ts";
import type { StageLimits } from "../stage/stage_limits.ts";
import { Condition } from "./condition.ts";
import type { ManifestShelf } from "./manifest_shelf.ts";
import type { Member } from "./member.ts";
import {
  countTokens,
  describeShortage,
  isSamePlacement,
  type PipelinePlan,
  planPipeline,
} from "./pipeline_plan.ts";
import { NoRoomError, PipelineStart } from "./pipeline_start.ts";
import { Roster, type StageMessage } from "./roster.ts";
import { WakeUp } from "./wake_up.ts";

/** What a cluster runs, and how. */
export interface ClusterOptions {
  /** Stays the caller's. */
  readonly mesh: Mesh;
  readonly name: string;
  readonly version: string;
  readonly model: { readonly name: string; readonly vocabSize: number };
  readonly shelf: ManifestShelf;
  readonly costs: ModelCosts;
  readonly limits: Omit<StageLimits, "numBlocks">;
  readonly pool: PoolBounds;
  /** Null leaves it to each device. */
  readonly isDeterministic: boolean | null;
  readonly useF16Kv: boolean | null;
  readonly hiddenType: HiddenType;
  /** The first layers are given out only when this many peers are there. */
  readonly minPeers: number;
  /** The fastest placement unless given. */
  readonly place?: PlaceLayers;
  /** Runs batches of every kind before a pipeline takes requests. */
  readonly warmUp: (
    pipeline: Pick<MeshPipeline, "forward" | "numStages">,
    limits: StageLimits,
  ) => Promise<void>;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly onNotice: (text: string) => void;
}

/** Peers that come at about the same time get layers together. */
const SETTLE_MS = 500;
/** A better placement waits this long for a moment without requests. */
const PATIENCE_MS = 60_000;
const POLL_MS = 250;
/** After a start that failed, and at most. */
const RETRY_MS = { first: 250, last: 15_000 };

/** Peers, and the pipeline over them. */
export class Cluster implements EnginePipeline {
  /** Set by the owner: whether a change of pipeline would disturb someone. */
  isBusy: () => boolean = () => false;
  /** Set by the owner: a new pipeline takes batches within `limits`. */
  onPipeline: (limits: StageLimits) => void = () => {};
  readonly condition: Condition;
  readonly #options: ClusterOptions;
  readonly #roster: Roster;
  readonly #closing = new AbortController();
  readonly #wakeUp = new WakeUp();
  /** A restarted coordinator must not count through the epochs of the one before. */
  #epoch: number;
  #numStarts = 0;
  #pipeline: MeshPipeline | null = null;
  /** Of the pipeline, or of the last one that was tried. */
  #plan: PipelinePlan = { stages: [], numBlocks: 0 };
  #start: PipelineStart | null = null;
  #numFailedStarts = 0;

  constructor(options: ClusterOptions) {
    this.#options = options;
    const { clock, model, limits } = options;
    this.condition = new Condition(clock);
    this.#epoch = options.rng.uint32() >>> 2;
    this.#roster = new Roster({
      ...options,
      modelName: model.name,
      // Logits of every row, when they are wanted, and a head for each.
      maxPayloadBytes: 65_536 + limits.maxSamples * (12 + 4 * model.vocabSize),
    }, {
      onAvailable: () => this.#wake(),
      onGone: (member, what) => this.#dropStage(member, what),
      onStageMessage: (member, message) => this.#hear(member, message),
      onReport: () => this.condition.changed(),
    });
    this.#keepRunning().catch((error) => {
      if (!this.#closing.signal.aborted) this.condition.set("failed", String(error));
    });
  }

  /** Of the last pipeline that was started: counts up from a random number. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Pipelines that were started. */
  get numStarts(): number {
    return this.#numStarts;
  }

  /** 0 while no pipeline takes batches. */
  get numStages(): number {
    return this.#pipeline?.numStages ?? 0;
  }

  get members(): readonly Member[] {
    return this.#roster.members;
  }

  /** Who serves, in the order of the layers. */
  get stages(): readonly PlacedStage[] {
    return this.#pipeline === null ? [] : this.#plan.stages;
  }

  /** KV blocks of every stage; 0 while no pipeline takes batches. */
  get numBlocks(): number {
    return this.#pipeline === null ? 0 : this.#plan.numBlocks;
  }

  async forward(batch: Batch): Promise<readonly TokenOutput[]> {
    if (this.#pipeline === null) throw new PipelineLostError("There is no pipeline");
    return await this.#pipeline.forward(batch);
  }

  close(): void {
    const reason = "The coordinator stops";
    this.#closing.abort(new Error(reason));
    this.#roster.close();
    this.#start?.cancel(reason);
    this.#stopPipeline(reason);
    this.#wake();
  }

  /** Places layers again whenever something changed, for as long as the cluster lives. */
  async #keepRunning(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#closing;
    while (true) {
      await this.#wakeUp.next();
      if (signal.aborted) return;
      // Whoever lost its pipeline is in a hurry, whoever never had one is not.
      if (this.#numStarts === 0) await clock.sleep(SETTLE_MS, signal);
      const plan = this.#makePlan();
      if (plan === null) continue;
      if (this.#pipeline !== null) {
        if (isSamePlacement(plan.stages, this.#plan.stages) || !await this.#isQuiet()) continue;
      }
      await this.#startPipeline(plan);
    }
  }

  /** Who should hold what now; null when it cannot be done. */
  #makePlan(): PipelinePlan | null {
    const { costs, pool, minPeers, useF16Kv, place = placeLayers } = this.#options;
    const available = this.#roster.available();
    this.#wakeWhenRested();
    const numWanted = this.#numStarts === 0 ? Math.max(1, minPeers) : 1;
    if (available.length < numWanted) {
      const who = numWanted > 1 ? `${available.length} of ${numWanted} peers are` : "No peer is";
      this.#wait(`${who} ready to hold layers`, 0);
      return null;
    }
    const candidates = available.flatMap((member) => member.candidate(useF16Kv) ?? []);
    const plan = planPipeline(candidates, { place, costs, pool, previous: this.#plan });
    if ("stages" in plan) return plan;
    this.#wait(describeShortage(plan, pool), plan.missingBytes);
    return null;
  }

  /** A pipeline that still runs is left alone. */
  #wait(note: string, missingBytes: number): void {
    if (this.#pipeline === null) this.condition.set("waiting", note, missingBytes);
  }

  async #startPipeline(plan: PipelinePlan): Promise<void> {
    this.#stopPipeline("Layers are given out anew");
    const { stages, numBlocks } = plan;
    const limits = { ...this.#options.limits, numBlocks };
    this.#plan = plan;
    this.#epoch++;
    this.#numStarts++;
    this.condition.set("loading", null);
    this.#relieve(stages);
    this.#start = new PipelineStart({
      ...this.#options,
      ...{ stages, limits },
      epoch: this.#epoch,
      leastBlocks: this.#options.pool.leastBlocks,
      memberOf: (peerId) => this.#roster.member(peerId),
    });
    try {
      this.#serve(await this.#start.run(), limits);
    } catch (error) {
      await this.#retry(error);
    } finally {
      this.#start = null;
    }
  }

  /** Those that hold something and are not to hold anything give it up. */
  #relieve(stages: readonly PlacedStage[]): void {
    for (const member of this.members) {
      if (stages.some(({ peerId }) => peerId === member.link.peerId)) continue;
      // One that failed to load may still hold what it had before.
      if (member.shard !== null || member.state === "failed") {
        member.link.sendControl({ type: "unload", reason: "Others hold its layers now" });
      }
      member.rest();
    }
  }

  async #retry(error: unknown): Promise<void> {
    const { clock, onNotice } = this.#options;
    if (this.#closing.signal.aborted) return;
    const reason = error instanceof Error ? error.message : String(error);
    // Each of these makes the next plan smaller: nothing is to be waited for.
    const isNoRoom = error instanceof NoRoomError;
    onNotice(
      isNoRoom
        ? `${reason}. The KV cache was to hold ${countTokens(this.#plan.numBlocks)}: ` +
          "the next plan asks less of this device"
        : `The layers could not be given out: ${reason}`,
    );
    this.condition.set("loading", reason);
    const numFailed = isNoRoom ? 0 : this.#numFailedStarts++;
    const waitMs = Math.min(RETRY_MS.last, RETRY_MS.first * 2 ** numFailed);
    await clock.sleep(waitMs, this.#closing.signal);
    this.#wake();
  }

  #serve(pipeline: MeshPipeline, limits: StageLimits): void {
    const { stages } = this.#plan;
    this.#pipeline = pipeline;
    this.#numFailedStarts = 0;
    for (const { peerId } of stages) this.#roster.member(peerId)?.succeed();
    pipeline.lost.then((reason) => {
      if (this.#pipeline === pipeline) this.#stopPipeline(reason);
      this.#wake();
    });
    this.condition.set("serving", null);
    const numStages = stages.length === 1 ? "1 stage" : `${stages.length} stages`;
    this.#options.onNotice(`${numStages}, KV cache of ${countTokens(limits.numBlocks)}`);
    this.onPipeline(limits);
    // Whoever came meanwhile.
    this.#wake();
  }

  #stopPipeline(reason: string): void {
    if (this.#pipeline === null) return;
    this.#pipeline.close(reason);
    this.#pipeline = null;
    for (const member of this.members) {
      if (member.state === "serving") member.state = "ready";
    }
    this.condition.set("loading", reason);
  }

  /** A pipeline without one of its stages is none. */
  #dropStage({ link, offer }: Member, what: string): void {
    if (!this.#plan.stages.some(({ peerId }) => peerId === link.peerId)) return;
    const text = `"${offer?.name ?? link.peerId}" ${what}`;
    this.#stopPipeline(text);
    this.#start?.cancel(text);
  }

  #hear(member: Member, message: StageMessage): void {
    // An order that was taken back before it got it; even one that failed may have loaded a stage.
    const hasObeyed = message.type === "ready" || message.type === "load-failed";
    if (hasObeyed && member.shard === null) {
      return member.link.sendControl({ type: "unload", reason: "Its order is out of date" });
    }
    const stageIndex = this.#plan.stages.findIndex(({ peerId }) => peerId === member.link.peerId);
    if (message.epoch !== this.#epoch || stageIndex < 0) return;
    switch (message.type) {
      case "step-failed":
        return (this.#pipeline ?? this.#start)?.failStep(message.stepId, {
          stageIndex,
          reason: message.reason,
        });
      case "load-progress":
        member.load = message.load;
        break;
      case "ready":
        member.load = message.load;
        this.#start?.ready(member);
        break;
      case "load-failed":
        this.#start?.fail(member, message);
        break;
      case "stage-lost":
        this.#dropStage(member, `lost a neighbour: ${message.reason}`);
        return this.#wake();
      default:
        message satisfies never;
    }
    this.condition.changed();
  }

  /** Waits for a moment without requests; false when something changes meanwhile. */
  async #isQuiet(): Promise<boolean> {
    const { clock } = this.#options;
    const startMs = clock.now();
    await clock.sleep(SETTLE_MS, this.#closing.signal);
    while (this.isBusy() && clock.now() - startMs < PATIENCE_MS && !this.#wakeUp.isDue) {
      await clock.sleep(POLL_MS, this.#closing.signal);
    }
    return !this.#wakeUp.isDue;
  }

  #wakeWhenRested(): void {
    const { clock } = this.#options;
    const nowMs = clock.now();
    for (const { restUntilMs } of this.members) {
      if (restUntilMs <= nowMs) continue;
      clock.sleep(restUntilMs - nowMs, this.#closing.signal).then(() => this.#wake(), () => {});
    }
  }

  #wake(): void {
    this.#wakeUp.call();
    this.condition.changed();
  }
}
