/**
 * What is derived from a join link's room and secret, so that neither is ever used or sent itself.
 *
 * @module
 */
import type { MeshCrypto } from "../platform/platform.ts";
import { toHex } from "./hex.ts";
import type { JoinLink } from "./join_link.ts";

/** Keys of one room. */
export interface RoomKeys {
  /** The room as the join link names it; signed, never sent. */
  readonly room: string;
  /**
   * What the signaling server knows the room by. It depends on the room alone: who comes with a
   * wrong secret then meets the others and is told so, instead of waiting by itself.
   */
  readonly topic: string;
  /**
   * AES-256-GCM, not extractable. With random 96-bit IVs good for 2^32 messages of the whole room,
   * which signaling does not reach.
   */
  readonly payloadKey: CryptoKey;
}

const TOPIC_PURPOSE = "tessera v1 signaling topic";
const PAYLOAD_PURPOSE = "tessera v1 signaling payload";
const TOPIC_BITS = 128;
const KEY_BITS = 256;

/** Derives a room's keys with HKDF-SHA-256 (RFC 5869), one purpose each. */
export async function deriveRoomKeys(
  meshCrypto: MeshCrypto,
  link: Pick<JoinLink, "room" | "secret">,
): Promise<RoomKeys> {
  const { subtle } = meshCrypto;
  const room = new TextEncoder().encode(link.room);
  const roomKey = await subtle.importKey("raw", room, "HKDF", false, ["deriveBits"]);
  const topic = await subtle.deriveBits(
    hkdf(TOPIC_PURPOSE, new Uint8Array(0)),
    roomKey,
    TOPIC_BITS,
  );
  const secretKey = await subtle.importKey("raw", link.secret, "HKDF", false, ["deriveKey"]);
  const payloadKey = await subtle.deriveKey(
    hkdf(PAYLOAD_PURPOSE, room),
    secretKey,
    { name: "AES-GCM", length: KEY_BITS },
    false,
    ["encrypt", "decrypt"],
  );
  return { room: link.room, topic: `tessera-${toHex(new Uint8Array(topic))}`, payloadKey };
}

function hkdf(purpose: string, salt: Uint8Array<ArrayBuffer>): HkdfParams {
  return { name: "HKDF", hash: "SHA-256", salt, info: new TextEncoder().encode(purpose) };
}
