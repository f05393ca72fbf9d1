import type { Clock } from "../platform/platform.ts";
import { DialAttempt } from "./dial_attempt.ts";
import type { PeerLink } from "./peer_link.ts";
import type { ReceivedRoomMessage, Room, RoomMessage } from "./room.ts";
import type { SignalExchange } from "./rtc_signal.ts";

/**
 * Makes a link by exchanging signals; rejects when it cannot or must not be made, and with the
 * signal's reason.
 */
export type Dial = (attempt: {
  readonly peerId: string;
  readonly isInitiator: boolean;
  readonly exchange: SignalExchange;
  readonly signal: AbortSignal;
}) => Promise<PeerLink>;

/** What a mesh calls. */
export interface MeshListener {
  /** A link is open, whoever dialled. */
  onLink?(link: PeerLink): void;
  /** Someone looks for company. */
  onAnnounce?(peerId: string, role: "coordinator" | "peer"): void;
  /** Connected to the signaling server, for the first time or again. */
  onConnect?(): void;
  /** What the log should say. */
  onNotice?(text: string): void;
}

/** Attempts by others at once; more are refused. */
const MAX_INCOMING = 64;

/**
 * One peer's links to others: dials, answers, and keeps at most one link to each. When two dial each
 * other at once, the one with the lower id connects.
 */
export class Mesh {
  readonly peerId: string;
  readonly #room: Room;
  readonly #dial: Dial;
  readonly #clock: Clock;
  readonly #links = new Map<string, PeerLink>();
  /** At most one to and one from each peer. */
  readonly #attempts = new Set<DialAttempt>();
  readonly #listeners = new Set<MeshListener>();
  readonly #closing = new AbortController();
  readonly #stopRoom: () => void;
  #lastDial = 0;

  constructor({ room, dial, clock }: {
    readonly room: Room;
    readonly dial: Dial;
    readonly clock: Clock;
  }) {
    this.peerId = room.peerId;
    this.#room = room;
    this.#dial = dial;
    this.#clock = clock;
    this.#stopRoom = room.listen({
      onMessage: (received) => this.#take(received),
      onConnect: () => this.#tell((listener) => listener.onConnect?.()),
      onDisconnect: (reason) => this.#notice(`Signaling server lost: ${reason}`),
      onRefused: (reason) => this.#notice(`Signaling message refused: ${reason}`),
    });
  }

  get isConnected(): boolean {
    return this.#room.isConnected;
  }

  /** Open links. */
  get links(): readonly PeerLink[] {
    return [...this.#links.values()];
  }

  /** The open link to a peer, or null. */
  link(peerId: string): PeerLink | null {
    return this.#links.get(peerId) ?? null;
  }

  listen(listener: MeshListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells everyone in the room that this peer is there. */
  announce(role: "coordinator" | "peer"): void {
    this.#room.send(null, { type: "announce", role });
  }

  /** The link to a peer, dialled if there is none. Rejects when that fails. */
  connect(peerId: string): Promise<PeerLink> {
    const open = this.#links.get(peerId);
    if (open) return Promise.resolve(open);
    const running = [...this.#attempts].find((attempt) => attempt.peerId === peerId);
    if (running) return running.linked;
    const dialId = `${this.peerId.slice(0, 8)}-${++this.#lastDial}`;
    return this.#start({ peerId, dialId, isInitiator: true }).linked;
  }

  /** The link to a peer that is going to dial. Rejects after `withinMs`, or with the signal. */
  async waitForLink(
    peerId: string,
    { withinMs, signal }: { readonly withinMs: number; readonly signal: AbortSignal },
  ): Promise<PeerLink> {
    const open = this.#links.get(peerId);
    if (open) return open;
    const waiting = new AbortController();
    const { promise, resolve } = Promise.withResolvers<PeerLink>();
    const stop = this.listen({ onLink: (link) => link.peerId === peerId && resolve(link) });
    const ended = AbortSignal.any([signal, waiting.signal, this.#closing.signal]);
    try {
      const late = this.#clock.sleep(withinMs, ended).then(() => {
        throw new Error(`Peer ${peerId} did not connect within ${withinMs} ms`);
      });
      return await Promise.race([promise, late]);
    } finally {
      stop();
      waiting.abort();
    }
  }

  /** Takes in a link that was made in another way. */
  adopt(link: PeerLink): void {
    const { signal } = this.#closing;
    if (signal.aborted) return link.close(signal.reason.message);
    if (link.closedReason !== null) return;
    const old = this.#links.get(link.peerId);
    this.#links.set(link.peerId, link);
    old?.close("A newer connection took its place");
    link.listen({
      onClose: (reason) => {
        if (this.#links.get(link.peerId) !== link) return;
        this.#links.delete(link.peerId);
        this.#notice(`Link to ${link.peerId} closed: ${reason}`);
      },
    });
    this.#tell((listener) => listener.onLink?.(link));
  }

  /** Says goodbye on all links and leaves the room. */
  close(reason: string): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new Error(reason));
    this.#stopRoom();
    for (const link of this.links) link.close(reason);
    this.#room.close();
  }

  #take({ from, message }: ReceivedRoomMessage): void {
    switch (message.type) {
      case "announce":
        return this.#tell((listener) => listener.onAnnounce?.(from, message.role));
      case "signal": {
        const attempt = this.#attempt(from, message.dialId);
        if (attempt !== null) return attempt.take(message.signal);
        // A late signal of an attempt that is over starts nothing.
        return isOffer(message.signal) ? this.#answer(from, message) : undefined;
      }
      case "refuse":
        return this.#attempt(from, message.dialId)?.cancel(message.reason);
      default:
        return message satisfies never;
    }
  }

  #attempt(peerId: string, dialId: string): DialAttempt | null {
    return [...this.#attempts].find((x) => x.peerId === peerId && x.dialId === dialId) ?? null;
  }

  #answer(peerId: string, { dialId, signal }: Extract<RoomMessage, { type: "signal" }>): void {
    const attempts = [...this.#attempts];
    const own = attempts.find((attempt) => attempt.isInitiator && attempt.peerId === peerId);
    // Both dialled: the other side gives way as soon as it hears of this one's attempt.
    if (own && this.peerId < peerId) return;
    const incoming = attempts.filter((attempt) => !attempt.isInitiator);
    const earlier = incoming.find((attempt) => attempt.peerId === peerId);
    if (!earlier && incoming.length >= MAX_INCOMING) {
      const reason = `${MAX_INCOMING} peers are connecting already: try again`;
      return this.#room.send(peerId, { type: "refuse", dialId, reason });
    }
    const answer = this.#start({ peerId, dialId, isInitiator: false });
    answer.take(signal);
    earlier?.giveWay(answer);
    own?.giveWay(answer);
    answer.linked.catch((error) =>
      this.#notice(`Peer ${peerId} could not connect: ${error.message}`)
    );
  }

  #start(call: Pick<DialAttempt, "peerId" | "dialId" | "isInitiator">): DialAttempt {
    const { peerId, dialId } = call;
    const attempt = new DialAttempt({
      ...call,
      send: (signal) => this.#room.send(peerId, { type: "signal", dialId, signal }),
      run: (attempt) => this.#run(attempt),
    });
    this.#attempts.add(attempt);
    return attempt;
  }

  async #run(attempt: DialAttempt): Promise<PeerLink> {
    const { peerId, isInitiator } = attempt;
    const signal = AbortSignal.any([this.#closing.signal, attempt.signal]);
    try {
      const link = await this.#dial({ peerId, isInitiator, exchange: attempt, signal });
      if (signal.aborted) link.close(signal.reason.message);
      signal.throwIfAborted();
      this.adopt(link);
      return link;
    } finally {
      this.#attempts.delete(attempt);
    }
  }

  #notice(text: string): void {
    this.#tell((listener) => listener.onNotice?.(text));
  }

  #tell(call: (listener: MeshListener) => void): void {
    for (const listener of [...this.#listeners]) call(listener);
  }
}

function isOffer(signal: unknown): boolean {
  return typeof signal === "object" && signal !== null && "type" in signal &&
    signal.type === "offer";
}
