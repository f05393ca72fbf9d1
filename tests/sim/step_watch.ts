import type { Batch, BatchSlice } from "../../src/core.ts";
import type { Frame } from "../../src/mesh/frame.ts";
import { InvariantError } from "./invariant_error.ts";
import type { SimPeer } from "./sim_peer.ts";

/** Compares what stages run with what the coordinator sent them. */
export class StepWatch {
  /** The batch that the coordinator is about to put in a frame. */
  sending: Batch | null = null;
  readonly #coordinatorId: string;
  /** By epoch and step id of the frame. */
  readonly #sent = new Map<string, Batch>();
  /** Epoch and step id of each batch. */
  readonly #steps = new WeakMap<Batch, string>();
  /** Sent and not answered. */
  readonly #pending = new Set<string>();
  readonly #lastSteps = new Map<SimPeer, { readonly epoch: number; readonly stepId: number }>();

  constructor(coordinatorId: string) {
    this.#coordinatorId = coordinatorId;
  }

  /** Calls `send`, which may put `batch` in a frame within the call. */
  watchSend<T>(batch: Batch, send: () => T): T {
    this.sending = batch;
    try {
      return send();
    } finally {
      this.sending = null;
    }
  }

  /** A frame leaves a peer. */
  takeFrame(from: string, { epoch, sequence }: Frame): void {
    if (from !== this.#coordinatorId) return;
    if (this.sending === null) throw new InvariantError("S6", "A frame without a batch was sent");
    this.#sent.set(`${epoch} ${sequence}`, this.sending);
    this.#steps.set(this.sending, `${epoch} ${sequence}`);
    this.#pending.add(`${epoch} ${sequence}`);
  }

  /** Tokens of a step arrive. */
  takeTokens({ epoch, sequence }: Frame): void {
    this.#pending.delete(`${epoch} ${sequence}`);
  }

  /** The pipeline says that a batch was run. */
  checkAnswer(batch: Batch): void {
    const step = this.#steps.get(batch);
    if (step !== undefined && !this.#pending.has(step)) return;
    throw new InvariantError("S6", `Step "${step}" has tokens that no stage drew for it`);
  }

  /** A stage says that it could not run a step. */
  checkReport({ epoch, stepId }: { readonly epoch: number; readonly stepId: number }): void {
    if (this.#sent.has(`${epoch} ${stepId}`)) return;
    throw new InvariantError("S6", `Step ${epoch}:${stepId} is said to have failed, never sent`);
  }

  /** Whether a frame of another epoch would be taken if nobody looked at the epoch. */
  isTempting(
    { type, sequence }: Frame,
    receiver: { readonly epoch: number; readonly peer: SimPeer | null },
  ) {
    const { epoch, peer } = receiver;
    if (type === "tokens") return this.#pending.has(`${epoch} ${sequence}`);
    const last = peer === null ? undefined : this.#lastSteps.get(peer);
    return sequence > (last?.epoch === epoch ? last.stepId : 0);
  }

  /** A stage is about to run a batch. */
  takeStageBatch(peer: SimPeer, batch: Batch): void {
    const { epoch, host } = peer;
    const { stepId } = batch;
    const last = this.#lastSteps.get(peer);
    if (last?.epoch === epoch && last.stepId >= stepId) {
      throw new InvariantError("S6", `${peer.node.name} runs step ${stepId} after ${last.stepId}`);
    }
    this.#lastSteps.set(peer, { epoch, stepId });
    const sent = this.#sent.get(`${epoch} ${stepId}`);
    if (sent === undefined) {
      throw new InvariantError("S6", `${peer.node.name} runs step ${epoch}:${stepId}, never sent`);
    }
    const hasTokens = host.stage?.shard.hasEmbedding === true;
    const isSame = sent.slices.length === batch.slices.length &&
      sent.slices.every((slice, i) => isSameSlice(slice, batch.slices[i]!, hasTokens));
    if (isSame) return;
    throw new InvariantError("S6", `${peer.node.name} runs another batch than ${epoch}:${stepId}`);
  }
}

function isSameSlice(a: BatchSlice, b: BatchSlice, hasTokens: boolean): boolean {
  return a.sequenceId === b.sequenceId && a.slot === b.slot &&
    a.startPosition === b.startPosition && a.tokenIds.length === b.tokenIds.length &&
    (!hasTokens || areSame(a.tokenIds, b.tokenIds)) && areSame(a.blockTable, b.blockTable) &&
    Boolean(a.takesDrawn) === Boolean(b.takesDrawn) && a.blockCopy?.from === b.blockCopy?.from &&
    a.blockCopy?.to === b.blockCopy?.to && a.sample?.tokenIndex === b.sample?.tokenIndex &&
    a.stateMoves?.restoreFrom === b.stateMoves?.restoreFrom &&
    a.stateMoves?.saveTo === b.stateMoves?.saveTo;
}

function areSame(a: Uint32Array, b: Uint32Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
