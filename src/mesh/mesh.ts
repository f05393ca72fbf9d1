import type { Clock } from "../platform/platform.ts";
import type { PeerLink } from "./peer_link.ts";
import type { ReceivedRoomMessage, Room, RoomMessage } from "./room.ts";

/** The signals of one attempt to connect. */
export interface SignalExchange {
  send(signal: unknown): void;
  /** Signals that came before are delivered first. Returns how to stop. */
  listen(onSignal: (signal: unknown) => void): () => void;
}

/** Makes a link by exchanging signals; rejects when it cannot or must not be made. */
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
/** Signals kept until the dialling side of this process listens. */
const MAX_EARLY_SIGNALS = 64;

/** One peer's links to others: dials, answers, and keeps at most one link to each. */
export class Mesh {
  readonly peerId: string;
  readonly #room: Room;
  readonly #dial: Dial;
  readonly #clock: Clock;
  readonly #links = new Map<string, PeerLink>();
  readonly #dialling = new Map<string, Promise<PeerLink>>();
  /** By dial id. */
  readonly #attempts = new Map<string, Attempt>();
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
    const running = this.#dialling.get(peerId);
    if (running) return running;
    const dialId = `${this.peerId.slice(0, 8)}-${++this.#lastDial}`;
    const dialled = this.#run(dialId, { peerId, isInitiator: true })
      .finally(() => this.#dialling.delete(peerId));
    this.#dialling.set(peerId, dialled);
    return dialled;
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
    try {
      const late = this.#clock.sleep(withinMs, AbortSignal.any([signal, waiting.signal]));
      return await Promise.race([
        promise,
        late.then(() => {
          throw new Error(`Peer ${peerId} did not connect within ${withinMs} ms`);
        }),
      ]);
    } finally {
      stop();
      waiting.abort();
    }
  }

  /** Takes in a link that was made in another way. */
  adopt(link: PeerLink): void {
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
        const attempt = this.#attempts.get(message.dialId);
        if (attempt?.peerId === from) return attempt.take(message.signal);
        return this.#answer(from, message);
      }
      case "refuse":
        if (this.#attempts.get(message.dialId)?.peerId === from) {
          this.#attempts.get(message.dialId)?.cancel(new Error(message.reason));
        }
        return;
      default:
        return message satisfies never;
    }
  }

  #answer(from: string, message: Extract<RoomMessage, { type: "signal" }>): void {
    // A late signal of an attempt that is over starts nothing.
    if (!isOffer(message.signal)) return;
    const numIncoming = [...this.#attempts.values()].filter((x) => !x.isInitiator).length;
    if (numIncoming >= MAX_INCOMING) {
      const reason = `${MAX_INCOMING} peers are connecting already: try again`;
      return this.#room.send(from, { type: "refuse", dialId: message.dialId, reason });
    }
    const answered = this.#run(message.dialId, { peerId: from, isInitiator: false });
    this.#attempts.get(message.dialId)?.take(message.signal);
    answered.catch((error) => this.#notice(`Peer ${from} could not connect: ${error.message}`));
  }

  async #run(
    dialId: string,
    { peerId, isInitiator }: { readonly peerId: string; readonly isInitiator: boolean },
  ): Promise<PeerLink> {
    const attempt = new Attempt({
      peerId,
      isInitiator,
      send: (signal) => this.#room.send(peerId, { type: "signal", dialId, signal }),
    });
    this.#attempts.set(dialId, attempt);
    try {
      const signal = AbortSignal.any([this.#closing.signal, attempt.signal]);
      const link = await this.#dial({ peerId, isInitiator, exchange: attempt, signal });
      this.adopt(link);
      return link;
    } finally {
      this.#attempts.delete(dialId);
    }
  }

  #notice(text: string): void {
    this.#tell((listener) => listener.onNotice?.(text));
  }

  #tell(call: (listener: MeshListener) => void): void {
    for (const listener of [...this.#listeners]) call(listener);
  }
}

/** One attempt to connect to one peer. */
class Attempt implements SignalExchange {
  readonly peerId: string;
  readonly isInitiator: boolean;
  readonly send: (signal: unknown) => void;
  readonly #cancelling = new AbortController();
  #early: unknown[] = [];
  #onSignal: ((signal: unknown) => void) | null = null;

  constructor({ peerId, isInitiator, send }: {
    readonly peerId: string;
    readonly isInitiator: boolean;
    readonly send: (signal: unknown) => void;
  }) {
    this.peerId = peerId;
    this.isInitiator = isInitiator;
    this.send = send;
  }

  get signal(): AbortSignal {
    return this.#cancelling.signal;
  }

  listen(onSignal: (signal: unknown) => void): () => void {
    this.#onSignal = onSignal;
    for (const signal of this.#early.splice(0)) onSignal(signal);
    return () => this.#onSignal = null;
  }

  take(signal: unknown): void {
    if (this.#onSignal) this.#onSignal(signal);
    else if (this.#early.length < MAX_EARLY_SIGNALS) this.#early.push(signal);
  }

  cancel(reason: Error): void {
    this.#cancelling.abort(reason);
  }
}

function isOffer(signal: unknown): boolean {
  return typeof signal === "object" && signal !== null && "type" in signal &&
    signal.type === "offer";
}
