import type { Clock } from "../src/platform/platform.ts";
import { Allowance } from "./allowance.ts";
import { type ClientMessage, formatPublished, parseClientMessage } from "./client_message.ts";
import type { SignalingCounters } from "./counters.ts";
import type { SignalingLimits } from "./limits.ts";
import type { ClosingRefusal, Closure } from "./refusal.ts";
import type { Topics } from "./topics.ts";

/** The WebSocket of one client, as the protocol sees it. */
export interface SignalingSocket {
  send(text: string): void;
  /**
   * Says why and hangs up, soon also on a client that does not listen. `closed` of the connection
   * is called when that is done.
   */
  close(code: number, reason: string): void;
  ping(): void;
  /** Stops and goes on reading; a few messages may still come after `pause`. */
  pause(): void;
  resume(): void;
  /** Bytes that were sent and wait in memory. */
  readonly bufferedBytes: number;
}

/** What connections of one server share. */
export interface ConnectionContext {
  readonly clock: Clock;
  readonly limits: SignalingLimits;
  readonly closures: Readonly<Record<ClosingRefusal, Closure>>;
  readonly topics: Topics<SignalingConnection>;
  readonly counters: SignalingCounters;
  /** The socket of a connection is gone. */
  onGone(connection: SignalingConnection): void;
}

/**
 * One client: its subscriptions, its allowance, its deadlines. Whoever owns the socket calls the
 * `receive` methods and `closed`; none of them throws.
 */
export class SignalingConnection {
  readonly #context: ConnectionContext;
  readonly #socket: SignalingSocket;
  readonly #topics = new Set<string>();
  readonly #allowance: Allowance;
  /** Messages that came before there was an allowance for them. */
  readonly #waiting: { readonly text: string; readonly numBytes: number }[] = [];
  #isOpen = true;
  #hasSpoken = false;
  #isPongDue = false;
  /** When the handshake must be done; from then on, when the next ping is due. */
  #deadlineMs: number;

  constructor(context: ConnectionContext, socket: SignalingSocket) {
    const { limits, clock } = context;
    const nowMs = clock.now();
    this.#context = context;
    this.#socket = socket;
    this.#allowance = new Allowance(limits, nowMs);
    this.#deadlineMs = nowMs + limits.handshakeMs;
  }

  /** False as soon as it is refused, when its socket may still be about to end. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Topics that it is subscribed to. */
  get topics(): ReadonlySet<string> {
    return this.#topics;
  }

  /** Time until it has all of its allowance again. */
  get refillMs(): number {
    return this.#allowance.refillMs(this.#context.clock.now());
  }

  /** A text message came. */
  receive(text: string): void {
    if (!this.#isOpen) return;
    this.#context.counters.received++;
    const numBytes = utf8Bytes(text);
    if (numBytes > this.#context.limits.frameBytes) return this.refuse("frame");
    if (this.#waiting.length === 0 && this.#waitMs(numBytes) === 0) this.#take(text, numBytes);
    else this.#postpone(text, numBytes);
  }

  /** A ping came. Returns whether to answer it. */
  receivePing(): boolean {
    if (!this.#isOpen) return false;
    const nowMs = this.#context.clock.now();
    if (this.#allowance.waitMs(0, nowMs) > 0) {
      this.refuse("rate");
      return false;
    }
    this.#allowance.take(0, nowMs);
    return true;
  }

  /** A pong came. One that nobody asked for counts as a ping. */
  receivePong(): void {
    if (this.#isPongDue) this.#isPongDue = false;
    else this.receivePing();
  }

  /** The socket is gone. */
  closed(): void {
    this.#leave();
    this.#context.onGone(this);
  }

  /** Counts what is wrong and hangs up. */
  refuse(reason: ClosingRefusal): void {
    if (!this.#isOpen) return;
    this.#context.counters.refused[reason]++;
    const { code, text } = this.#context.closures[reason];
    this.close(code, text);
  }

  /** Hangs up. */
  close(code: number, reason: string): void {
    if (!this.#isOpen) return;
    this.#leave();
    this.#socket.close(code, reason);
  }

  /** Checks deadlines, and pings when it is time. */
  checkTime(): void {
    const nowMs = this.#context.clock.now();
    if (!this.#isOpen || nowMs < this.#deadlineMs) return;
    if (!this.#hasSpoken) return this.refuse("handshake");
    if (this.#isPongDue) return this.refuse("silent");
    this.#isPongDue = true;
    this.#deadlineMs = nowMs + this.#context.limits.pingMs;
    this.#socket.ping();
  }

  #leave(): void {
    this.#isOpen = false;
    this.#waiting.length = 0;
    for (const topic of this.#topics) this.#context.topics.unsubscribe(topic, this);
    this.#topics.clear();
  }

  #waitMs(numBytes: number): number {
    return this.#allowance.waitMs(numBytes, this.#context.clock.now());
  }

  /**
   * Joining a busy room takes more messages than a burst allows, so they wait rather than end the
   * connection; meanwhile TCP holds back what was not read yet.
   */
  #postpone(text: string, numBytes: number): void {
    if (this.#waiting.length >= this.#context.limits.waitingMessages) return this.refuse("rate");
    this.#context.counters.throttled++;
    this.#waiting.push({ text, numBytes });
    if (this.#waiting.length > 1) return;
    this.#socket.pause();
    void this.#takeWaiting();
  }

  /** Ends when nothing waits, as nothing does once the connection is closed. */
  async #takeWaiting(): Promise<void> {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      const waitMs = this.#waitMs(next.numBytes);
      if (waitMs > 0) await this.#context.clock.sleep(waitMs);
      if (!this.#isOpen || this.#waitMs(next.numBytes) > 0) continue;
      this.#take(next.text, next.numBytes);
      this.#waiting.shift();
    }
    if (this.#isOpen) this.#socket.resume();
  }

  #take(text: string, numBytes: number): void {
    const nowMs = this.#context.clock.now();
    this.#allowance.take(numBytes, nowMs);
    const message = parseClientMessage(text);
    if (message === null) return this.refuse("malformed");
    if (!this.#hasSpoken) {
      this.#hasSpoken = true;
      this.#deadlineMs = nowMs + this.#context.limits.pingMs;
    }
    this.#obey(message);
  }

  #obey(message: ClientMessage): void {
    switch (message.type) {
      case "subscribe":
        return this.#subscribe(message.topics);
      case "unsubscribe":
        return this.#unsubscribe(message.topics);
      case "publish":
        return this.#publish(message.topic, message.content);
      case "ping":
        this.#send('{"type":"pong"}');
    }
  }

  #subscribe(topics: readonly string[]): void {
    const { limits, topics: all } = this.#context;
    for (const topic of topics) {
      if (this.#topics.has(topic)) continue;
      if (topic === "" || utf8Bytes(topic) > limits.topicBytes) return this.refuse("topic");
      if (this.#topics.size >= limits.topicsPerConnection) return this.refuse("topics");
      if (all.members(topic).size >= limits.membersPerTopic) return this.refuse("members");
      this.#topics.add(topic);
      all.subscribe(topic, this);
    }
  }

  #unsubscribe(topics: readonly string[]): void {
    for (const topic of topics) {
      if (this.#topics.delete(topic)) this.#context.topics.unsubscribe(topic, this);
    }
  }

  #publish(topic: string, content: Readonly<Record<string, unknown>>): void {
    const { counters } = this.#context;
    if (!this.#topics.has(topic)) {
      // Not the end: a client that left may still have had a message on its way.
      counters.refused.unsubscribed++;
      return;
    }
    const members = this.#context.topics.members(topic);
    const text = formatPublished(content, members.size);
    counters.published++;
    for (const member of members) if (member.#send(text)) counters.delivered++;
  }

  #send(text: string): boolean {
    if (this.#socket.bufferedBytes > this.#context.limits.bufferedBytes) {
      this.refuse("slow");
      return false;
    }
    this.#socket.send(text);
    return true;
  }
}

const ENCODER = new TextEncoder();

function utf8Bytes(text: string): number {
  return ENCODER.encode(text).length;
}
