import type { Shard } from "../core.ts";
import type { PeerControl } from "../mesh/control.ts";
import type { PeerLink } from "../mesh/peer_link.ts";
import type { WeightServing } from "../mesh/weight_reads.ts";
import type { LoadState } from "../stage/stage_host.ts";
import type { PeerState } from "./status.ts";

/** What a peer offered. */
export type JoinOffer = Extract<PeerControl, { type: "join" }>;
/** What a peer counts. */
export type PeerReport = Extract<PeerControl, { type: "stats" }>;

/** A peer that failed this often in a row is left alone for a while. */
const MAX_FAILURES = 3;
const FIRST_PAUSE_MS = 1_000;
const LONG_PAUSE_MS = 60_000;
/** Of the memory that a device refused, this much is believed. */
const MEMORY_LEFT = 0.8;

/** One peer, as the coordinator knows it. */
export class Member {
  readonly link: PeerLink;
  readonly serving: WeightServing;
  offer: JoinOffer | null = null;
  isPaused = false;
  state: PeerState = "connecting";
  /** What it was told to hold. */
  shard: Shard | null = null;
  shardBytes = 0;
  load: LoadState | null = null;
  report: PeerReport | null = null;
  /** Mean of the steps between the last two reports. */
  stepMs: number | null = null;
  note: string | null = null;
  #numFailures = 0;
  #restUntilMs = 0;
  /** Less than offered once the device refused an allocation. */
  #memoryShare = 1;

  constructor(link: PeerLink, serving: WeightServing) {
    this.link = link;
    this.serving = serving;
  }

  /** Lent memory that is believed in. */
  get memoryBytes(): number {
    return Math.floor((this.offer?.memoryBytes ?? 0) * this.#memoryShare);
  }

  /** May be given layers at `nowMs`. */
  isAvailable(nowMs: number): boolean {
    return this.offer !== null && !this.isPaused && this.link.closedReason === null &&
      nowMs >= this.#restUntilMs;
  }

  /** When it may be given layers again, after a failure. */
  get restUntilMs(): number {
    return this.#restUntilMs;
  }

  /** It could not do what it was told. */
  fail(reason: string, nowMs: number): void {
    this.#numFailures++;
    const pauseMs = this.#numFailures < MAX_FAILURES
      ? FIRST_PAUSE_MS * 2 ** (this.#numFailures - 1)
      : LONG_PAUSE_MS;
    this.#restUntilMs = nowMs + pauseMs;
    if (/memory/i.test(reason)) this.#memoryShare *= MEMORY_LEFT;
    this.state = "failed";
    this.note = reason;
    this.shard = null;
    this.load = null;
  }

  /** It serves: earlier failures are forgiven. */
  succeed(): void {
    this.#numFailures = 0;
    this.state = "serving";
    this.note = null;
  }

  /** It holds nothing that is wanted. */
  rest(): void {
    this.shard = null;
    this.shardBytes = 0;
    this.load = null;
    this.stepMs = null;
    if (this.state !== "failed") this.state = this.isPaused ? "paused" : "standby";
  }

  takeReport(report: PeerReport): void {
    const numSteps = report.numSteps - (this.report?.numSteps ?? 0);
    const busyMs = report.busyMs - (this.report?.busyMs ?? 0);
    this.stepMs = numSteps > 0 && busyMs >= 0 ? busyMs / numSteps : null;
    this.report = report;
  }
}
