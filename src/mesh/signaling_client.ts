import type { Clock, OpenTextSocket, Rng } from "../platform/platform.ts";
import { SignalingConnection } from "./signaling_connection.ts";
import type { Publication } from "./signaling_message.ts";

/** What a client needs. */
export interface SignalingClientOptions {
  /** `ws:` or `wss:` URL of the server. */
  readonly url: string;
  /** The topic to subscribe to. */
  readonly topic: string;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly openSocket: OpenTextSocket;
  readonly listener: SignalingClientListener;
}

/** What a client calls until it is closed. */
export interface SignalingClientListener {
  /** Subscribed, for the first time or again. */
  onConnect(): void;
  /** Not, or no longer, connected, each time that an attempt fails; another will follow. */
  onDisconnect(reason: string): void;
  onPublication(publication: Publication): void;
  /** The server sent something that is not of its protocol. */
  onGarbage(): void;
}

/** Bounds of the pause before the first attempt to reconnect and before all later ones, in ms. */
export const FIRST_BACKOFF_MS = 500;
export const MAX_BACKOFF_MS = 30_000;

/** A connection that was ready for so long puts the back-off to its start. */
const STABLE_MS = 30_000;

/**
 * A subscription to one topic of a signaling server that is made again whenever it is lost, after
 * pauses that double and are drawn at random ("full jitter"), so that the members of a room whose
 * server restarts do not all come at once.
 */
export class SignalingClient {
  readonly #options: SignalingClientOptions;
  readonly #closed = new AbortController();
  #connection: SignalingConnection | null = null;

  constructor(options: SignalingClientOptions) {
    this.#options = options;
    void this.#stayConnected();
  }

  get isConnected(): boolean {
    return this.#connection?.isReady ?? false;
  }

  /**
   * Sends to all subscribers of the topic; lost while not connected. False, and nothing sent, when
   * the message is longer than servers take.
   */
  publish(publication: Publication): boolean {
    return this.#connection?.publish(publication) ?? true;
  }

  /** Leaves the server. Nothing is called any more. */
  close(): void {
    this.#closed.abort();
    this.#connection?.end("Closed");
  }

  async #stayConnected(): Promise<void> {
    const { clock, rng, listener } = this.#options;
    const isClosed = () => this.#closed.signal.aborted;
    for (let numFailures = 0; !isClosed(); numFailures += 1) {
      const { reason, readyMs } = await this.#connectOnce();
      if (isClosed()) return;
      if (readyMs >= STABLE_MS) numFailures = 0;
      listener.onDisconnect(reason);
      if (isClosed()) return;
      await clock.sleep(drawBackoffMs(numFailures, rng), this.#closed.signal).catch(() =>
        undefined
      );
    }
  }

  /** Resolves when the connection has ended: why, and how long it was ready. */
  #connectOnce(): Promise<{ readonly reason: string; readonly readyMs: number }> {
    const { listener, clock, ...connection } = this.#options;
    return new Promise((resolve) => {
      let readySinceMs: number | null = null;
      this.#connection = new SignalingConnection({
        ...connection,
        clock,
        listener: {
          onReady: () => {
            readySinceMs = clock.now();
            listener.onConnect();
          },
          onPublication: (publication) => listener.onPublication(publication),
          onGarbage: () => listener.onGarbage(),
          onEnd: (reason) => {
            this.#connection = null;
            const readyMs = readySinceMs === null ? 0 : clock.now() - readySinceMs;
            resolve({ reason, readyMs });
          },
        },
      });
    });
  }
}

/** The pause after `numFailures` failures before this one, in ms. */
function drawBackoffMs(numFailures: number, rng: Rng): number {
  const boundMs = Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** numFailures);
  return boundMs * rng.uint32() / 2 ** 32;
}
