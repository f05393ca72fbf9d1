/**
 * Time and chance as every runtime has them.
 *
 * @module
 */
import type { Clock, Rng } from "./platform.ts";

/** Wall time of this machine. */
export const systemClock: Clock = {
  now: () => performance.now(),
  sleep: (delayMs, signal) =>
    new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      }, delayMs);
      signal?.addEventListener("abort", onAbort, { once: true });
    }),
};

/** The operating system's random numbers. */
export const systemRng: Rng = {
  uint32: () => crypto.getRandomValues(new Uint32Array(1))[0] ?? 0,
};
