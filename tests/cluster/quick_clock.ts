import type { Clock } from "../../src/platform/platform.ts";

/** Virtual milliseconds in one real one. */
const SPEED = 20;

/** Real time, sped up: deadlines of seconds pass in tenths of seconds. */
export const quickClock: Clock = {
  now: () => performance.now() * SPEED,
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
      }, delayMs / SPEED);
      signal?.addEventListener("abort", onAbort, { once: true });
    }),
};
