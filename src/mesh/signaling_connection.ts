import type { Clock, OpenTextSocket, Rng, TextSocket } from "../platform/platform.ts";
import {
  MAX_REQUEST_LENGTH,
  parseSignalingReply,
  type Publication,
  type SignalingRequest,
} from "./signaling_message.ts";

/** What a connection needs. */
export interface SignalingConnectionOptions {
  /** `ws:` or `wss:` URL of the server. */
  readonly url: string;
  readonly topic: string;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly openSocket: OpenTextSocket;
  readonly listener: SignalingConnectionListener;
}

/** What happens on a connection. */
export interface SignalingConnectionListener {
  /** The server has the subscription. */
  onReady(): void;
  onPublication(publication: Publication): void;
  /** The server sent something that is not of its protocol. */
  onGarbage(): void;
  /** Once, last. `reason` is for people. */
  onEnd(reason: string): void;
}

const CONNECT_DEADLINE_MS = 10_000;
const PONG_DEADLINE_MS = 10_000;
/** With the wait for the pong, a ping every 15 to 30 s. */
const MIN_PAUSE_MS = 5_000;
const PAUSE_SPREAD_MS = 15_000;

/** One connection to a signaling server, subscribed to one topic, from dialling to its end. */
export class SignalingConnection {
  readonly #options: SignalingConnectionOptions;
  readonly #socket: TextSocket;
  readonly #ended = new AbortController();
  #isReady = false;
  #hasHeard = false;

  constructor(options: SignalingConnectionOptions) {
    this.#options = options;
    this.#socket = options.openSocket(options.url, {
      onOpen: () => this.#subscribe(),
      onMessage: (text) => this.#receive(text),
      onClose: (reason) => this.end(reason),
    });
    void this.#watch();
  }

  get isReady(): boolean {
    return this.#isReady && !this.#ended.signal.aborted;
  }

  /** False, and nothing sent, when the message is longer than servers take. */
  publish(publication: Publication): boolean {
    const text = JSON.stringify({ type: "publish", ...publication } satisfies SignalingRequest);
    if (text.length > MAX_REQUEST_LENGTH) return false;
    if (this.isReady) this.#socket.send(text);
    return true;
  }

  /** Ends the connection at once, whether or not the server answers. */
  end(reason: string): void {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort();
    this.#socket.close();
    this.#options.listener.onEnd(reason);
  }

  /** The server works off requests in order: its first pong says that the subscription is made. */
  #subscribe(): void {
    this.#request({ type: "subscribe", topics: [this.#options.topic] });
    this.#request({ type: "ping" });
  }

  #request(request: SignalingRequest): void {
    this.#socket.send(JSON.stringify(request));
  }

  #receive(text: string): void {
    if (this.#ended.signal.aborted) return;
    this.#hasHeard = true;
    const reply = parseSignalingReply(text);
    if (reply === null) return this.#options.listener.onGarbage();
    if (reply.type === "publish") return this.#options.listener.onPublication(reply.publication);
    if (this.#isReady) return;
    this.#isReady = true;
    this.#options.listener.onReady();
  }

  async #watch(): Promise<void> {
    const { clock, rng } = this.#options;
    const pause = (delayMs: number) =>
      clock.sleep(delayMs, this.#ended.signal).catch(() => undefined);
    await pause(CONNECT_DEADLINE_MS);
    if (!this.#isReady) this.end(`No answer within ${CONNECT_DEADLINE_MS / 1000} s`);
    while (!this.#ended.signal.aborted) {
      await pause(MIN_PAUSE_MS + PAUSE_SPREAD_MS * rng.uint32() / 2 ** 32);
      if (this.#ended.signal.aborted) return;
      this.#hasHeard = false;
      this.#request({ type: "ping" });
      await pause(PONG_DEADLINE_MS);
      if (!this.#hasHeard) this.end(`No pong within ${PONG_DEADLINE_MS / 1000} s`);
    }
  }
}
