import type { Clock } from "../platform/platform.ts";
import { HttpError, toHttpError } from "./errors.ts";

/** A silent stream says it is alive this often, so that proxies and clients keep waiting. */
export const PING_INTERVAL_MS = 10_000;
/** A reader that takes nothing for so long is given up. */
const STALL_MS = 60_000;

const HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache",
  "x-accel-buffering": "no",
};

/** What a stream of events needs besides its events. */
export interface SseOptions {
  readonly clock: Clock;
  /** Called exactly once, when the stream has ended or its reader has gone. */
  readonly onClose: () => void;
}

/**
 * Streams objects as server-sent events, ended by `[DONE]`. The next object is asked for only when
 * the reader has room, so a slow reader holds one and perhaps a comment; one that takes nothing for
 * a minute is given up, and the stream fails. `chunks` must end by `onClose` or soon after.
 */
export function sseResponse(chunks: AsyncGenerator<unknown>, options: SseOptions): Response {
  return new Response(new ReadableStream(new SseSource(chunks, options)), { headers: HEADERS });
}

type Controller = ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>;

class SseSource implements UnderlyingDefaultSource<Uint8Array<ArrayBuffer>> {
  readonly #chunks: AsyncGenerator<unknown>;
  readonly #options: SseOptions;
  readonly #encoder = new TextEncoder();
  readonly #closing = new AbortController();
  /** When the reader was last given something. */
  #sentMs: number;

  constructor(chunks: AsyncGenerator<unknown>, options: SseOptions) {
    this.#chunks = chunks;
    this.#options = options;
    this.#sentMs = options.clock.now();
  }

  start(controller: Controller): void {
    void this.#watch(controller);
  }

  async pull(controller: Controller): Promise<void> {
    try {
      const { done, value } = await this.#chunks.next();
      if (this.#isClosed) return;
      if (!done) return this.#send(controller, event(value));
    } catch (error) {
      if (this.#isClosed) return;
      this.#send(controller, event(toHttpError(error)));
    }
    this.#send(controller, "data: [DONE]\n\n");
    controller.close();
    this.#close();
  }

  cancel(): void {
    this.#close();
  }

  /**
   * Pings a reader that waits and gives up one that does not read. One timer runs for the whole
   * stream: a timer and a signal for each event would cost more than all the rest of it.
   */
  async #watch(controller: Controller): Promise<void> {
    const { clock } = this.#options;
    while (true) {
      const silentMs = clock.now() - this.#sentMs;
      const hasRead = (controller.desiredSize ?? 0) > 0;
      if (hasRead && silentMs >= PING_INTERVAL_MS) this.#send(controller, ": keep-alive\n\n");
      if (!hasRead && silentMs >= STALL_MS) {
        controller.error(new HttpError(408, "The reader of the stream took nothing for too long"));
        return this.#close();
      }
      const nextMs = PING_INTERVAL_MS - (clock.now() - this.#sentMs) % PING_INTERVAL_MS;
      try {
        await clock.sleep(nextMs, this.#closing.signal);
      } catch {
        return;
      }
    }
  }

  get #isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  #send(controller: Controller, text: string): void {
    this.#sentMs = this.#options.clock.now();
    controller.enqueue(this.#encoder.encode(text));
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#closing.abort();
    this.#options.onClose();
    void this.#chunks.return(undefined).catch(() => {});
  }
}

function event(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}
