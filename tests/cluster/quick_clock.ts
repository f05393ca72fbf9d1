import type { Clock } from "../../src/platform/platform.ts";

/** Real time, sped up: virtual milliseconds in one real one. */
export function clockAt(speed: number): Clock {
  return {
    now: () => performance.now() * speed,
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
        }, delayMs / speed);
        signal?.addEventListener("abort", onAbort, { once: true });
      }),
  };
}

/** Deadlines of seconds pass in tenths of seconds. */
export const quickClock: Clock = clockAt(20);
