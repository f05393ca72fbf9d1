import type { Kernel, SimEvent } from "./kernel.ts";
import type { SimNode } from "./node.ts";
import type { SimRng } from "./rng.ts";

/** How far apart two ends are. Faults change it while messages are on their way. */
export interface LineQuality {
  /** One way. */
  delayMs: number;
  /** Added to some messages, up to this. */
  jitterMs: number;
  /** Share of the messages that are lost and sent again. */
  loss: number;
  /** Infinity for no limit. */
  bytesPerMs: number;
}

interface Posted {
  readonly sizeBytes: number;
  readonly dueMs: number;
  readonly deliver: () => void;
}

/** How long a sender waits before it sends a lost message again. */
const RESEND_MS = 200;

/** One direction of one channel: reliable and in order, at its own pace. */
export class SimWire {
  /** Who gets what arrives. */
  receiver: SimNode;
  readonly #kernel: Kernel;
  readonly #quality: LineQuality;
  readonly #rng: SimRng;
  readonly #queue: Posted[] = [];
  readonly #drained: (() => void)[] = [];
  #next: SimEvent | null = null;
  #numBlocks = 0;
  #isCut = false;
  #lastDueMs = 0;
  #lineFreeMs = 0;
  #bufferedBytes = 0;

  constructor({ kernel, receiver, quality, rng }: {
    readonly kernel: Kernel;
    readonly receiver: SimNode;
    readonly quality: LineQuality;
    readonly rng: SimRng;
  }) {
    this.#kernel = kernel;
    this.receiver = receiver;
    this.#quality = quality;
    this.#rng = rng;
  }

  /** Sent and not delivered yet. */
  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  get isCut(): boolean {
    return this.#isCut;
  }

  post(sizeBytes: number, deliver: () => void): void {
    if (this.#isCut) return;
    this.#bufferedBytes += sizeBytes;
    const { nowMs } = this.#kernel;
    this.#lineFreeMs = Math.max(this.#lineFreeMs, nowMs) + sizeBytes / this.#quality.bytesPerMs;
    this.#lastDueMs = Math.max(this.#lastDueMs, this.#lineFreeMs + this.#delayMs());
    this.#queue.push({ sizeBytes, dueMs: this.#lastDueMs, deliver });
    this.#schedule();
  }

  /** Resolves when at most `bytes` are buffered. */
  async drainedTo(bytes: number): Promise<void> {
    while (this.#bufferedBytes > bytes && !this.#isCut) {
      await new Promise<void>((resolve) => this.#drained.push(resolve));
    }
  }

  /** Nothing arrives until as many calls of `unblock`. */
  block(): void {
    this.#numBlocks++;
    this.#unschedule();
  }

  unblock(): void {
    this.#numBlocks--;
    this.#schedule();
  }

  /** Nothing arrives any more. */
  cut(): void {
    this.#isCut = true;
    this.#unschedule();
    this.#queue.length = 0;
    this.#bufferedBytes = 0;
    this.#tellDrained();
  }

  #delayMs(): number {
    const { delayMs, jitterMs, loss } = this.#quality;
    let totalMs = delayMs + (jitterMs > 0 ? jitterMs * this.#rng.float() ** 3 : 0);
    if (loss > 0) { while (this.#rng.chance(loss)) totalMs += RESEND_MS + 2 * delayMs; }
    return totalMs;
  }

  #schedule(): void {
    const [first] = this.#queue;
    if (first === undefined || this.#next !== null || this.#numBlocks > 0) return;
    const waitMs = first.dueMs - this.#kernel.nowMs;
    this.#next = this.#kernel.schedule(waitMs, this.receiver, () => {
      this.#next = null;
      this.#queue.shift();
      this.#bufferedBytes -= first.sizeBytes;
      first.deliver();
      this.#tellDrained();
      this.#schedule();
    });
  }

  #unschedule(): void {
    if (this.#next !== null) this.#kernel.cancel(this.#next);
    this.#next = null;
  }

  #tellDrained(): void {
    for (const resolve of this.#drained.splice(0)) resolve();
  }
}
