import type { Shard } from "../core.ts";
import type { PeerControl } from "../mesh/control.ts";
import type { PeerLink } from "../mesh/peer_link.ts";
import type { WeightServing } from "../mesh/weight_reads.ts";
import type { LoadState } from "../stage/stage_host.ts";
import type { Candidate } from "./pipeline_plan.ts";
import type { PeerState } from "./status.ts";

/** What a peer offered. */
export type JoinOffer = Extract<PeerControl, { type: "join" }>;
/** What a peer counts. */
export type PeerReport = Extract<PeerControl, { type: "stats" }>;

/** A peer that failed this often in a row is left alone for a while. */
const MAX_FAILURES = 3;
const FIRST_PAUSE_MS = 1_000;
const LONG_PAUSE_MS = 60_000;
/** So often in a row a peer without room is asked for less at once; then it counts as a failure. */
const MAX_REFUSALS = 12;
/** Of lent memory; the rest is left to what nobody counts: staging, programs, readbacks. */
const POOL_SHARE = 0.9;
/** A device that measured nothing is slow, not useless. */
const SLOWEST_GBPS = 0.01;

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
  #numRefusals = 0;
  /** Less than lent once the device had no room for a shard. */
  #roomBytes = Infinity;

  constructor(link: PeerLink, serving: WeightServing) {
    this.link = link;
    this.serving = serving;
  }

  /** Lent memory that is believed in. */
  get memoryBytes(): number {
    return Math.min(this.offer?.memoryBytes ?? 0, this.#roomBytes);
  }

  /** As a plan sees it; null before it offered anything. `useF16Kv` null leaves it to the device. */
  candidate(useF16Kv: boolean | null): Candidate | null {
    if (this.offer === null) return null;
    const { name, memoryBytes, device } = this.offer;
    const { isSoftware, maxBindingBytes, readGBps } = device;
    return {
      ...{ id: this.link.peerId, name, isSoftware, maxBindingBytes },
      memoryBytes: this.memoryBytes,
      poolBytes: Math.min(this.memoryBytes, Math.floor(memoryBytes * POOL_SHARE)),
      readGBps: Math.max(SLOWEST_GBPS, readGBps),
      usesF16Kv: useF16Kv ?? device.usesF16Kv,
    };
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
    this.#giveUp(reason);
  }

  /** It had no room for its shard: it has `roomBytes`, and may be asked for less at once. */
  runOutOfMemory(reason: string, { roomBytes, nowMs }: {
    readonly roomBytes: number;
    readonly nowMs: number;
  }): void {
    this.#roomBytes = Math.min(this.#roomBytes, roomBytes);
    if (++this.#numRefusals > MAX_REFUSALS) this.fail(reason, nowMs);
    else this.#giveUp(reason);
  }

  /** It serves: earlier failures are forgiven. */
  succeed(): void {
    this.#numFailures = 0;
    this.#numRefusals = 0;
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

  #giveUp(reason: string): void {
    this.state = "failed";
    this.note = reason;
    this.shard = null;
    this.load = null;
  }
}
