import type { Frame } from "./frame.ts";
import type { LinkListener } from "./peer_link.ts";

/** Most that waits for a listener, of control messages and of frames. */
const MAX_BACKLOG_BYTES = 64 * 1024 * 1024;
const MAX_BACKLOG_EVENTS = 4096;

/**
 * The listeners of a link, and what arrived before one of them took it: control messages wait for
 * the first `onControl`, frames for the first `onFrame`.
 */
export class LinkListeners {
  readonly #listeners = new Set<LinkListener>();
  readonly #controls = new Backlog<unknown>();
  readonly #frames = new Backlog<Frame>();
  #closedReason: string | null = null;

  /**
   * Adds a listener and returns how to remove it. It hears of what happened before in a microtask,
   * so never before this returns.
   */
  listen(listener: LinkListener): () => void {
    this.#listeners.add(listener);
    queueMicrotask(() => {
      this.#deliverBacklogs();
      if (this.#listeners.has(listener) && this.#closedReason !== null) {
        this.#listeners.delete(listener);
        listener.onClose?.(this.#closedReason);
      }
    });
    return () => void this.#listeners.delete(listener);
  }

  /** False when too much waits for a listener. */
  control(message: unknown, sizeBytes: number): boolean {
    if (this.#closedReason !== null) return true;
    this.#controls.push(message, sizeBytes);
    this.#deliverBacklogs();
    return this.#controls.isWithinLimits;
  }

  /** False when too much waits for a listener. */
  frame(frame: Frame): boolean {
    if (this.#closedReason !== null) return true;
    this.#frames.push(frame, frame.payload.length);
    this.#deliverBacklogs();
    return this.#frames.isWithinLimits;
  }

  /** The last event. What waits for a listener still does. */
  close(reason: string): void {
    if (this.#closedReason !== null) return;
    this.#closedReason = reason;
    for (const listener of [...this.#listeners]) {
      if (this.#listeners.delete(listener)) listener.onClose?.(reason);
    }
  }

  #deliverBacklogs(): void {
    this.#controls.deliver(() => {
      const takers = [...this.#listeners].filter(({ onControl }) => onControl);
      return takers.length > 0 &&
        ((message) => takers.forEach((listener) => listener.onControl?.(message)));
    });
    this.#frames.deliver(() => {
      const takers = [...this.#listeners].filter(({ onFrame }) => onFrame);
      return takers.length > 0 &&
        ((frame) => takers.forEach((listener) => listener.onFrame?.(frame)));
    });
  }
}

/** Events in order, each delivered once there is somebody to take it. */
class Backlog<T> {
  readonly #events: { readonly event: T; readonly sizeBytes: number }[] = [];
  #bytes = 0;
  #isDelivering = false;

  get isWithinLimits(): boolean {
    return this.#bytes <= MAX_BACKLOG_BYTES && this.#events.length <= MAX_BACKLOG_EVENTS;
  }

  push(event: T, sizeBytes: number): void {
    this.#events.push({ event, sizeBytes });
    this.#bytes += sizeBytes;
  }

  /** `findTaker` is asked for each event; false leaves the rest where they are. */
  deliver(findTaker: () => ((event: T) => void) | false): void {
    // An event that arrives while another is delivered waits for its turn.
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    try {
      for (let next = this.#events[0]; next; next = this.#events[0]) {
        const take = findTaker();
        if (!take) return;
        this.#events.shift();
        this.#bytes -= next.sizeBytes;
        take(next.event);
      }
    } finally {
      this.#isDelivering = false;
    }
  }
}
