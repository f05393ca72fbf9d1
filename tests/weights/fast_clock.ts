import type { Clock } from "../../src/platform/platform.ts";

/** Deadlines pass 10 times as fast as they should, back-off 500 times. */
export const FAST_CLOCK: Clock = {
  now: () => performance.now(),
  sleep: (delayMs, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const timer = setTimeout(resolve, delayMs >= 10_000 ? delayMs / 10 : delayMs / 500);
      signal?.addEventListener("abort", () => {
        clearTimeout(timer);
        reject(signal.reason);
      }, { once: true });
    }),
};
