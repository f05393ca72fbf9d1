import type { Clock } from "../platform/platform.ts";

/** A sender waits from the high mark on until no more than the low one is buffered. */
export const HIGH_WATER_BYTES = 1024 * 1024;
export const LOW_WATER_BYTES = 256 * 1024;

/** A link whose buffer takes longer than this to drain is faulted. */
export const DRAIN_DEADLINE_MS = 10_000;

/** Where `bufferedamountlow` does not fire (@roamhq/wrtc), the buffer is looked at this often. */
const POLL_EVERY_MS = 4;

/** What is needed of an RTCDataChannel. Its `bufferedAmountLowThreshold` is LOW_WATER_BYTES. */
export type DrainingChannel = Pick<
  RTCDataChannel,
  "bufferedAmount" | "addEventListener" | "removeEventListener"
>;

/** Time, and what ends the wait early. */
export interface DrainOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Resolves to true at the low mark, and to false when that takes too long. Rejects with the
 * signal's reason when aborted.
 */
export async function waitUntilDrained(
  channel: DrainingChannel,
  { clock, signal }: DrainOptions,
): Promise<boolean> {
  const deadlineMs = clock.now() + DRAIN_DEADLINE_MS;
  while (channel.bufferedAmount > LOW_WATER_BYTES) {
    if (clock.now() >= deadlineMs) return false;
    let onLow = () => {};
    const low = new Promise<void>((resolve) => onLow = resolve);
    channel.addEventListener("bufferedamountlow", onLow);
    try {
      await Promise.race([low, clock.sleep(POLL_EVERY_MS, signal)]);
    } finally {
      channel.removeEventListener("bufferedamountlow", onLow);
    }
  }
  return true;
}
