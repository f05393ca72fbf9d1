import type { Frame } from "../../src/mesh/frame.ts";
import { SILENCE_REASON } from "../../src/mesh/keep_alive.ts";
import { parseCoordinatorControl, parsePeerControl } from "../../src/mesh/parse_control.ts";
import type { LinkTap, SimLink } from "./link.ts";
import type { Reach } from "./reach.ts";
import type { World } from "./world.ts";

/** Frames of each epoch and link that a fault may deliver again. */
const MAX_KEPT_FRAMES = 100;

/** What the world hears of its links. */
export class WorldTap implements LinkTap {
  /** By the link that they arrived at: the first ones of each epoch. */
  readonly pastFrames = new Map<SimLink, Map<number, Frame[]>>();
  readonly #world: World;
  readonly #reach: Reach;

  constructor(world: World, reach: Reach) {
    this.#world = world;
    this.#reach = reach;
  }

  onSentFrame(link: SimLink, frame: Frame): void {
    if (frame.type === "batch") this.#world.steps.takeFrame(link.ownId, frame);
  }

  onFrame(link: SimLink, frame: Frame): void {
    const { kernel } = this.#world;
    if (frame.type === "weights") return;
    kernel.trace(() =>
      `${name(link.peerId)}>${name(link.ownId)} ${frame.type} ${frame.epoch}:${frame.sequence}`
    );
    this.#keep(link, frame);
    if (frame.type === "tokens") this.#world.steps.takeTokens(frame);
    const epoch = this.#world.epochOf(link.ownId);
    if (epoch !== null && frame.epoch !== epoch) {
      this.#reach.count(`path: stale ${frame.type} frame arrived`);
    }
  }

  #keep(link: SimLink, frame: Frame): void {
    const byEpoch = this.pastFrames.get(link) ?? new Map<number, Frame[]>();
    this.pastFrames.set(link, byEpoch);
    const frames = byEpoch.get(frame.epoch) ?? [];
    byEpoch.set(frame.epoch, frames);
    if (frames.length === MAX_KEPT_FRAMES) return;
    frames.push({ ...frame, payload: frame.payload.slice() });
  }

  onControl(link: SimLink, message: unknown): void {
    const { kernel, coordinatorId } = this.#world;
    const type = (message as { readonly type?: unknown } | null)?.type;
    if (type !== "stats" && type !== "read") {
      kernel.trace(() => `${name(link.peerId)}>${name(link.ownId)} ${JSON.stringify(message)}`);
    }
    if (link.ownId === coordinatorId) {
      if (type === "stats" || type === "read") return;
      const heard = parsePeerControl(message);
      if (heard === null) return;
      this.#reach.count(`heard: ${heard.type}`);
      if (heard.type === "step-failed") {
        this.#world.guard(() => this.#world.steps.checkReport(heard));
      }
      if (heard.type === "step-failed" && /a batch was lost/.test(heard.reason)) {
        this.#reach.count("path: lost slice refused");
      }
      if (heard.type === "load-failed" && heard.isOutOfMemory) {
        this.#reach.count("path: no room for a shard");
      }
      return;
    }
    if (type !== "load") return;
    const order = parseCoordinatorControl(message);
    if (order?.type === "load") this.#world.noteOrder(link, order.epoch);
  }

  onClosed(link: SimLink, reason: string): void {
    this.#world.kernel.note(`${name(link.ownId)} link to ${name(link.peerId)} closed: ${reason}`);
    if (reason === SILENCE_REASON) this.#reach.count("path: link fell silent");
    if (reason.startsWith("A newer connection")) this.#reach.count("path: newer link");
    this.#world.checkLink(link);
  }

  onWait(): void {
    this.#reach.count("path: sender waits for its buffer");
  }
}

/** Short, for traces. */
export function name(peerId: string): string {
  return peerId.slice(-2);
}
