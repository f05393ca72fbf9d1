/**
 * Waits that end.
 *
 * @module
 */
import type { Clock } from "../platform/platform.ts";

/** The result of `wait`, or what `expired` makes when it takes longer than `ms`. */
export async function within<T>(
  wait: Promise<T>,
  { clock, ms, expired }: { clock: Clock; ms: number; expired: () => Error },
): Promise<T> {
  const timer = new AbortController();
  const deadline = clock.sleep(ms, timer.signal).then(() => {
    throw expired();
  });
  try {
    return await Promise.race([wait, deadline]);
  } finally {
    timer.abort();
    // The loser of the race may still reject; nobody waits for it.
    deadline.catch(() => {});
    wait.catch(() => {});
  }
}
