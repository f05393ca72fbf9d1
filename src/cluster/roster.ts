import { type PeerControl, PROTOCOL } from "../mesh/control.ts";
import { parsePeerControl } from "../mesh/parse_control.ts";
import type { Mesh } from "../mesh/mesh.ts";
import type { PeerLink } from "../mesh/peer_link.ts";
import { WeightServing } from "../mesh/weight_reads.ts";
import type { Clock } from "../platform/platform.ts";
import type { ManifestShelf } from "./manifest_shelf.ts";
import { Member } from "./member.ts";

/** What a member says about its stage. */
export type StageMessage = Extract<
  PeerControl,
  { readonly type: "load-progress" | "ready" | "load-failed" | "stage-lost" | "step-failed" }
>;

/** What a roster calls. */
export interface RosterListener {
  /** Who may be given layers has changed. */
  onAvailable(): void;
  /** A member gives up its stage; `what` it did, for people. */
  onGone(member: Member, what: string): void;
  onStageMessage(member: Member, message: StageMessage): void;
  /** Something that only the status shows. */
  onReport(): void;
}

/** Whom a roster greets, and with what. */
export interface RosterOptions {
  /** Stays the caller's. */
  readonly mesh: Mesh;
  /** Of the coordinator, for the peers' owners. */
  readonly name: string;
  readonly version: string;
  readonly modelName: string;
  readonly shelf: ManifestShelf;
  /** Largest payload that a peer may send. */
  readonly maxPayloadBytes: number;
  readonly clock: Clock;
  readonly onNotice: (text: string) => void;
}

/** The peers: dials whoever announces itself, greets whoever is linked, serves their reads. */
export class Roster {
  readonly #options: RosterOptions;
  readonly #listener: RosterListener;
  /** By peer id. */
  readonly #members = new Map<string, Member>();
  readonly #stopListening: () => void;

  constructor(options: RosterOptions, listener: RosterListener) {
    this.#options = options;
    this.#listener = listener;
    const { mesh, onNotice } = options;
    this.#stopListening = mesh.listen({
      onLink: (link) => this.#welcome(link),
      onAnnounce: (peerId, role) => {
        if (role === "peer") this.#dial(peerId);
      },
      onConnect: () => mesh.announce("coordinator"),
      onNotice,
    });
    for (const link of mesh.links) this.#welcome(link);
  }

  get members(): readonly Member[] {
    return [...this.#members.values()];
  }

  member(peerId: string): Member | undefined {
    return this.#members.get(peerId);
  }

  /** Members that may be given layers now. */
  available(): readonly Member[] {
    const nowMs = this.#options.clock.now();
    return this.members.filter((member) => member.isAvailable(nowMs));
  }

  /** Greets nobody any more; the links stay open. */
  close(): void {
    this.#stopListening();
  }

  async #dial(peerId: string): Promise<void> {
    const { mesh, onNotice } = this.#options;
    if (mesh.link(peerId) !== null) return;
    try {
      await mesh.connect(peerId);
    } catch (error) {
      onNotice(`Peer ${peerId} could not be reached: ${(error as Error).message}`);
    }
  }

  #welcome(link: PeerLink): void {
    const { name, version, modelName, shelf, maxPayloadBytes } = this.#options;
    const serving = new WeightServing(link, (key, range) => shelf.readFile(key, range));
    const member = new Member(link, serving);
    this.#members.set(link.peerId, member);
    link.allowPayload(maxPayloadBytes);
    link.listen({
      onControl: (value) => {
        const message = parsePeerControl(value);
        if (message !== null) this.#take(member, message);
      },
      onClose: (reason) => this.#lose(member, reason),
    });
    link.sendControl({ type: "welcome", protocol: PROTOCOL, name, version, model: modelName });
  }

  #take(member: Member, message: PeerControl): void {
    switch (message.type) {
      case "join":
        return this.#admit(member, message);
      case "pause":
        member.isPaused = true;
        this.#listener.onGone(member, "is paused by its owner");
        member.rest();
        return this.#listener.onAvailable();
      case "resume":
        if (!member.isPaused) return;
        member.isPaused = false;
        member.rest();
        return this.#listener.onAvailable();
      case "read":
        return member.serving.take(message);
      case "stats":
        member.takeReport(message);
        return this.#listener.onReport();
      default:
        return this.#listener.onStageMessage(member, message);
    }
  }

  #admit(member: Member, offer: Extract<PeerControl, { type: "join" }>): void {
    if (member.offer !== null) return;
    if (offer.protocol !== PROTOCOL) {
      const reason = `This coordinator speaks protocol ${PROTOCOL}, you speak ${offer.protocol}: ` +
        "run the same version on both sides";
      member.link.sendControl({ type: "refuse", reason });
      return member.link.close(reason);
    }
    member.offer = offer;
    member.isPaused = offer.isPaused;
    member.rest();
    this.#options.onNotice(`"${offer.name}" joined with ${offer.device.adapterName}`);
    this.#listener.onAvailable();
  }

  #lose(member: Member, reason: string): void {
    const { peerId } = member.link;
    // A newer link of the same peer may have taken its place.
    if (this.#members.get(peerId) === member) this.#members.delete(peerId);
    if (member.offer) this.#options.onNotice(`"${member.offer.name}" left: ${reason}`);
    this.#listener.onGone(member, `left: ${reason}`);
    this.#listener.onAvailable();
  }
}
