import type { Clock, MeshCrypto, OpenTextSocket, Rng } from "../platform/platform.ts";
import { encodeBase64Url } from "./base64url.ts";
import { openMessage, sealMessage } from "./envelope.ts";
import type { Identity } from "./identity.ts";
import type { JoinLink } from "./join_link.ts";
import { ReplayGuard } from "./replay_guard.ts";
import type { Room, RoomListener, RoomMessage } from "./room.ts";
import { deriveRoomKeys, type RoomKeys } from "./room_keys.ts";
import { SignalingClient } from "./signaling_client.ts";
import type { Publication } from "./signaling_message.ts";
import { SerialQueue } from "./serial_queue.ts";

/** What a member of a room needs. */
export interface JoinRoomOptions {
  readonly link: Pick<JoinLink, "room" | "secret" | "signalingUrl">;
  readonly identity: Identity;
  readonly crypto: MeshCrypto;
  readonly clock: Clock;
  /** Wall time, ms since 1970. */
  readonly dateMs: () => number;
  readonly rng: Rng;
  readonly openSocket: OpenTextSocket;
}

/** Joins a room through its signaling server, and stays in it until the room is closed. */
export function joinRoom(options: JoinRoomOptions): Room {
  return new SignalingRoom(options);
}

const RUN_BYTES = 12;
const MAX_QUEUED = 256;

/** Membership of a room that meets on a signaling server. */
class SignalingRoom implements Room {
  readonly #options: JoinRoomOptions;
  readonly #listeners = new Set<{ readonly listener: RoomListener }>();
  /** Cryptography is asynchronous; messages keep their order both ways. */
  readonly #outgoing = new SerialQueue(MAX_QUEUED, (error) => this.#fail(error));
  readonly #incoming = new SerialQueue(MAX_QUEUED, (error) => this.#fail(error));
  readonly #run: string;
  readonly #startedMs: number;
  readonly #guard: ReplayGuard;
  readonly #keys: Promise<RoomKeys>;
  #client: SignalingClient | null = null;
  #seq = 0;
  #isClosed = false;

  constructor(options: JoinRoomOptions) {
    this.#options = options;
    this.#run = encodeBase64Url(options.crypto.randomBytes(RUN_BYTES));
    this.#startedMs = options.dateMs();
    this.#guard = new ReplayGuard(this.#run);
    this.#keys = deriveRoomKeys(options.crypto, options.link);
    void this.#connect();
  }

  get peerId(): string {
    return this.#options.identity.peerId;
  }

  get isConnected(): boolean {
    return !this.#isClosed && (this.#client?.isConnected ?? false);
  }

  send(to: string | null, message: RoomMessage): void {
    if (!this.isConnected) return;
    const isQueued = this.#outgoing.add(() => this.#publish(to, message));
    if (!isQueued) this.#refuse(`Message to ${to ?? "everyone"} not sent: too many wait already`);
  }

  listen(listener: RoomListener): () => void {
    const entry = { listener };
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  }

  /** What was sent before still leaves. */
  close(): void {
    this.#isClosed = true;
    this.#listeners.clear();
    const leave = () => Promise.resolve(this.#client?.close());
    if (!this.#outgoing.add(leave)) this.#client?.close();
  }

  async #connect(): Promise<void> {
    const { link, clock, rng, openSocket } = this.#options;
    const { topic } = await this.#keys;
    if (this.#isClosed) return;
    this.#client = new SignalingClient({
      ...{ url: link.signalingUrl, topic, clock, rng, openSocket },
      listener: {
        onConnect: () => this.#tell((listener) => listener.onConnect?.()),
        onDisconnect: (reason) => this.#tell((listener) => listener.onDisconnect?.(reason)),
        onPublication: (publication) => this.#receive(publication),
        onGarbage: () => this.#refuse("The signaling server sent what is not of its protocol"),
      },
    });
  }

  async #publish(to: string | null, message: RoomMessage): Promise<void> {
    const { identity, crypto, dateMs } = this.#options;
    const stamp = {
      seq: this.#seq += 1,
      run: this.#run,
      startedMs: this.#startedMs,
      forRun: to === null ? null : this.#guard.runOf(to),
      timeMs: dateMs(),
    };
    const keys = await this.#keys;
    const publication = await sealMessage(crypto, { keys, identity, to, message, stamp });
    if (this.#client?.publish(publication) === false) {
      this.#refuse(`Message to ${to ?? "everyone"} not sent: it is too long for signaling`);
    }
  }

  #receive(publication: Publication): void {
    const { from, to } = publication;
    // Servers of this protocol send everything to everyone, and one's own messages back.
    if (this.#isClosed || from === this.peerId || (to !== null && to !== this.peerId)) return;
    const isQueued = this.#incoming.add(() => this.#open(publication));
    if (!isQueued) this.#refuse(`Message of ${quote(from)} refused: too many wait already`);
  }

  async #open(publication: Publication): Promise<void> {
    const { crypto, dateMs } = this.#options;
    const opened = await openMessage(crypto, { keys: await this.#keys, publication });
    const reason = "refused" in opened ? opened.refused : this.#guard.admit(opened, dateMs());
    if ("refused" in opened || reason !== null) {
      return this.#refuse(`Message of ${quote(publication.from)} refused: ${reason}`);
    }
    const { from, message } = opened;
    this.#tell((listener) => listener.onMessage?.({ from, message }));
  }

  /** A fault of this side, not to be mistaken for the end of the process. */
  #fail(error: unknown): void {
    this.#refuse(`A message could not be handled: ${error}`);
  }

  #refuse(reason: string): void {
    this.#tell((listener) => listener.onRefused?.(reason));
  }

  #tell(call: (listener: RoomListener) => void): void {
    for (const { listener } of [...this.#listeners]) call(listener);
  }
}

/** A peer's id as it claims to be, safe to log. */
function quote(peerId: string): string {
  return JSON.stringify(peerId.slice(0, 64));
}
