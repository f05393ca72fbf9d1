import type { Clock } from "../platform/platform.ts";
import { aborted } from "./aborted.ts";
import { HIGH_WATER_BYTES, LOW_WATER_BYTES } from "./back_pressure.ts";

/** What joins two ends in memory. */
export interface Cable {
  readonly clock: Clock;
  /** One way. */
  readonly delayMs: number;
  /** While true, what arrives is lost. */
  isCut: boolean;
}

/** One direction of a channel: delivers in order, `delayMs` after it was sent. */
export class MemoryWire {
  readonly #cable: Cable;
  readonly #signal: AbortSignal;
  readonly #queue: Posted[] = [];
  #isDelivering = false;
  #tail: Promise<void> = Promise.resolve();
  #onLow: () => void = () => {};
  #bufferedBytes = 0;
  #sentBytes = 0;

  constructor(cable: Cable, signal: AbortSignal) {
    this.#cable = cable;
    this.#signal = signal;
  }

  /** Given to send() and not delivered yet. */
  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** `onDue` is called even when the cable is cut, before `deliver`. */
  post(deliver: () => void, onDue = () => {}): void {
    const { clock, delayMs } = this.#cable;
    this.#queue.push({ dueMs: clock.now() + delayMs, onDue, deliver });
    if (!this.#isDelivering) this.#deliverAll();
  }

  /** As post(), but waits while too much is on its way. Rejects when the link closes first. */
  send(sizeBytes: number, deliver: () => void): Promise<void> {
    this.#bufferedBytes += sizeBytes;
    const sending = this.#tail.then(async () => {
      if (this.#sentBytes > HIGH_WATER_BYTES) await this.#drained();
      this.#signal.throwIfAborted();
      this.#sentBytes += sizeBytes;
      this.post(deliver, () => {
        this.#sentBytes -= sizeBytes;
        this.#bufferedBytes -= sizeBytes;
        if (this.#sentBytes <= LOW_WATER_BYTES) this.#onLow();
      });
    });
    this.#tail = sending.catch(() => {});
    return sending;
  }

  #drained(): Promise<void> {
    const low = new Promise<void>((resolve) => this.#onLow = resolve);
    return Promise.race([low, aborted(this.#signal)]);
  }

  async #deliverAll(): Promise<void> {
    this.#isDelivering = true;
    for (let next = this.#queue[0]; next; next = this.#queue[0]) {
      const waitMs = next.dueMs - this.#cable.clock.now();
      await (waitMs > 0 ? this.#cable.clock.sleep(waitMs) : Promise.resolve());
      this.#queue.shift();
      next.onDue();
      if (!this.#cable.isCut) next.deliver();
    }
    this.#isDelivering = false;
  }
}

interface Posted {
  readonly dueMs: number;
  readonly onDue: () => void;
  readonly deliver: () => void;
}
