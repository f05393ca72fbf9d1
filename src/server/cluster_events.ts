import type { Clock } from "../platform/platform.ts";
import type { ClusterView } from "./options.ts";
import { PING_INTERVAL_MS } from "./sse.ts";

/** At most 4 events a second. */
const MIN_INTERVAL_MS = 250;

/** What a stream of states runs on. */
export interface ClusterEventsOptions {
  readonly clock: Clock;
  /** Ends the stream when aborted. */
  readonly closing: AbortSignal;
  /** Called once, when the stream has ended or its reader has gone. */
  readonly onEnd: () => void;
}

/**
 * The mesh's state as server-sent `status` events: at once and after changes, with comments between
 * to show that the stream lives. Only the newest state is sent, and only when the reader has room,
 * so that a slow reader holds one event and misses those between.
 */
export function clusterEvents(
  view: ClusterView,
  { clock, closing, onEnd }: ClusterEventsOptions,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const encoder = new TextEncoder();
  const ended = new AbortController();
  let change = Promise.withResolvers<true>();
  change.resolve(true);
  let nextMs = clock.now();
  const stopListening = view.onChange(() => change.resolve(true));
  const end = () => {
    if (ended.signal.aborted) return;
    ended.abort();
    stopListening();
    onEnd();
  };
  return new ReadableStream({
    start(controller) {
      const close = () => {
        end();
        controller.close();
      };
      if (closing.aborted) close();
      else closing.addEventListener("abort", close, { signal: ended.signal });
    },
    async pull(controller) {
      const hasChanged = await within(change.promise, clock, ended.signal);
      const waitMs = nextMs - clock.now();
      if (hasChanged && waitMs > 0) await clock.sleep(waitMs, ended.signal).catch(() => {});
      if (ended.signal.aborted) return;
      if (!hasChanged) return controller.enqueue(encoder.encode(": keep-alive\n\n"));
      change = Promise.withResolvers();
      nextMs = clock.now() + MIN_INTERVAL_MS;
      const status = JSON.stringify(view.status());
      controller.enqueue(encoder.encode(`event: status\ndata: ${status}\n\n`));
    },
    cancel: end,
  });
}

/** True when a change comes before a ping is due; false then, or when the stream ends. */
async function within(
  change: Promise<true>,
  clock: Clock,
  ended: AbortSignal,
): Promise<boolean> {
  const changed = new AbortController();
  const silence = clock.sleep(PING_INTERVAL_MS, AbortSignal.any([ended, changed.signal]))
    .then(() => false, () => false);
  return await Promise.race([change, silence]).finally(() => changed.abort());
}
