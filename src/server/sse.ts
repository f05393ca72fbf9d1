import type { Clock } from "../platform/platform.ts";
import { toHttpError } from "./errors.ts";

/** A silent stream says it is alive this often, so that proxies and clients keep waiting. */
export const PING_INTERVAL_MS = 10_000;

const HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache",
  "x-accel-buffering": "no",
};

/**
 * Streams objects as server-sent events, ended by `[DONE]`. The next object is asked for only when
 * the reader has room, so a slow reader holds at most one. `onClose` is called exactly once, when
 * the stream has ended or its reader has gone; by then or soon after `chunks` must end.
 */
export function sseResponse(
  chunks: AsyncGenerator<unknown>,
  { clock, onClose }: { clock: Clock; onClose: () => void },
): Response {
  const encoder = new TextEncoder();
  let next: Promise<IteratorResult<unknown, unknown>> | null = null;
  let silence = new AbortController();
  let isClosed = false;
  const close = () => {
    if (isClosed) return;
    isClosed = true;
    silence.abort();
    onClose();
    void chunks.return(undefined).catch(() => {});
  };
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const send = (text: string) => controller.enqueue(encoder.encode(text));
      try {
        next ??= chunks.next();
        silence = new AbortController();
        const result = await untilSilent(next, clock, silence);
        if (isClosed) return;
        if (result === null) return send(": keep-alive\n\n");
        next = null;
        if (!result.done) return send(event(result.value));
      } catch (error) {
        if (isClosed) return;
        send(event(toHttpError(error)));
      }
      send("data: [DONE]\n\n");
      controller.close();
      close();
    },
    cancel: close,
  });
  return new Response(stream, { headers: HEADERS });
}

function event(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

/** The promise's outcome, or null after a ping interval of silence or when that is aborted. */
function untilSilent<T>(
  promise: Promise<T>,
  clock: Clock,
  silence: AbortController,
): Promise<T | null> {
  const silent = clock.sleep(PING_INTERVAL_MS, silence.signal).then(() => null, () => null);
  return Promise.race([promise, silent]).finally(() => silence.abort());
}
