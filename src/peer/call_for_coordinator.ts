import type { Mesh } from "../mesh/mesh.ts";
import type { Clock, Rng } from "../platform/platform.ts";

/** Who calls, and until when. */
export interface CallOptions {
  readonly mesh: Mesh;
  readonly clock: Clock;
  readonly rng: Rng;
  /** Ends the calls. */
  readonly signal: AbortSignal;
  /** Nobody has answered for long; called after each further call. */
  readonly onSilence: () => void;
}

/** Between two calls: from, and at most. */
const WAIT_MS = { first: 500, last: 5_000 };
const SILENCE_MS = 10_000;

/**
 * Announces a peer in the room until the signal aborts: when the room or a coordinator comes, and
 * else more and more seldom, never all peers at once.
 */
export async function callForCoordinator(options: CallOptions): Promise<void> {
  const { mesh, clock, rng, signal, onSilence } = options;
  const announce = () => mesh.announce("peer");
  const stopListening = mesh.listen({
    onConnect: announce,
    onAnnounce: (_, role) => role === "coordinator" && announce(),
  });
  const startMs = clock.now();
  try {
    for (let waitMs = WAIT_MS.first;; waitMs = Math.min(waitMs * 1.5, WAIT_MS.last)) {
      announce();
      const jitter = 0.5 + rng.uint32() / 2 ** 32;
      await clock.sleep(waitMs * jitter, signal);
      if (clock.now() - startMs > SILENCE_MS) onSilence();
    }
  } catch {
    // The signal.
  } finally {
    stopListening();
  }
}
