/**
 * Room messages as the signaling server carries them: encrypted for the room, signed by the sender.
 *
 * On the wire `data` is {version, type, seq, sealed}. `sealed` is base64url of a random 96-bit IV and
 * AES-256-GCM ciphertext, whose associated data are version, topic, from, to, type and seq: a server
 * can change none of them. The plaintext is the sender's raw public key (32 bytes), an Ed25519
 * signature (64 bytes) and a body in JSON. The signature covers the associated data, the room and
 * the body, hence the whole signal and with it the DTLS fingerprints in its session description:
 * members, who all can encrypt, cannot speak for each other either.
 *
 * @module
 */
import { z } from "zod";
import type { MeshCrypto } from "../platform/platform.ts";
import { decodeBase64Url, encodeBase64Url } from "./base64url.ts";
import { type Identity, peerIdOf, verifySignature } from "./identity.ts";
import type { RoomMessage } from "./room.ts";
import type { RoomKeys } from "./room_keys.ts";
import { MAX_REPLY_LENGTH, type Publication } from "./signaling_message.ts";

/** When and in which run of its sender a message was made; see ReplayGuard. */
export interface Stamp {
  /** Counts up with every message of a run. */
  readonly seq: number;
  /** Random name of the sender's run: from joining a room to leaving it. */
  readonly run: string;
  /** Wall time at which that run started, ms since 1970. */
  readonly startedMs: number;
  /** The run of the recipient that the message is for; null when the sender knows none. */
  readonly forRun: string | null;
  /** Wall time of the message, ms since 1970. */
  readonly timeMs: number;
}

/** What `sealMessage` puts into an envelope. */
export interface SealOptions {
  readonly keys: RoomKeys;
  readonly identity: Identity;
  readonly to: string | null;
  readonly message: RoomMessage;
  readonly stamp: Stamp;
}

/** A message whose sender is proven. Whether it is fresh is for a ReplayGuard to say. */
export interface OpenedMessage {
  readonly from: string;
  readonly to: string | null;
  readonly message: RoomMessage;
  readonly stamp: Stamp;
}

/** Why a message was not opened, for the log. */
export interface Refusal {
  readonly refused: string;
}

const VERSION = 1;
const IV_BYTES = 12;
const PUBLIC_KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const BODY_OFFSET = PUBLIC_KEY_BYTES + SIGNATURE_BYTES;
const EVERYONE = "*";

const ID = z.string().max(64);
const TIME = z.number().int().nonnegative();
const ENVELOPE = z.object({
  version: z.literal(VERSION),
  type: z.enum(["announce", "signal", "refuse"]),
  seq: z.number().int().positive(),
  sealed: z.string().max(MAX_REPLY_LENGTH),
});
const BODY = z.object({
  run: ID,
  startedMs: TIME,
  forRun: ID.nullable(),
  timeMs: TIME,
  message: z.discriminatedUnion("type", [
    z.object({ type: z.literal("announce"), role: z.enum(["coordinator", "peer"]) }),
    z.object({ type: z.literal("signal"), dialId: ID, signal: z.unknown() }),
    z.object({ type: z.literal("refuse"), dialId: ID, reason: z.string().max(1000) }),
  ]),
});

/** Encrypts and signs one message. */
export async function sealMessage(
  meshCrypto: MeshCrypto,
  options: SealOptions,
): Promise<Publication> {
  const { keys, identity, to, message, stamp } = options;
  const { seq, ...stampOfBody } = stamp;
  const from = identity.peerId;
  const header = headerBytes({ topic: keys.topic, from, to, type: message.type, seq });
  const body = new TextEncoder().encode(JSON.stringify({ ...stampOfBody, message }));
  const signature = await identity.sign(signedBytes({ keys, header, body }));
  const iv = meshCrypto.randomBytes(IV_BYTES);
  const ciphertext = await meshCrypto.subtle.encrypt(
    { name: "AES-GCM", iv, additionalData: header },
    keys.payloadKey,
    concatBytes([identity.publicKey, signature, body]),
  );
  const sealed = encodeBase64Url(concatBytes([iv, new Uint8Array(ciphertext)]));
  const data = { version: VERSION, type: message.type, seq, sealed };
  return { topic: keys.topic, from, to, data };
}

/** Opens what arrived, or says why not. Never throws, whatever arrives. */
export async function openMessage(
  meshCrypto: MeshCrypto,
  options: { readonly keys: RoomKeys; readonly publication: Publication },
): Promise<OpenedMessage | Refusal> {
  const { keys, publication: { topic, from, to, data } } = options;
  if (topic !== keys.topic) return { refused: "it is of another room" };
  const envelope = ENVELOPE.safeParse(data).data;
  if (!envelope) return { refused: describeBadEnvelope(data) };
  const { type, seq } = envelope;
  const sealed = decodeBase64Url(envelope.sealed);
  if (sealed === null) return { refused: "its payload is not base64url" };

  const header = headerBytes({ topic, from, to, type, seq });
  const plaintext = await decrypt(meshCrypto, { key: keys.payloadKey, header, sealed });
  if (plaintext === null) {
    return { refused: "the secret of its join link is another one, or it was changed on the way" };
  }
  if (plaintext.length < BODY_OFFSET) return { refused: "it has no signature" };
  const publicKey = plaintext.slice(0, PUBLIC_KEY_BYTES);
  const signature = plaintext.slice(PUBLIC_KEY_BYTES, BODY_OFFSET);
  const bodyText = plaintext.slice(BODY_OFFSET);
  if (await peerIdOf(meshCrypto, publicKey) !== from) {
    return { refused: "its sender's id is not the hash of its key" };
  }
  const signed = signedBytes({ keys, header, body: bodyText });
  if (!await verifySignature(meshCrypto, { publicKey, data: signed, signature })) {
    return { refused: "its signature is not of its sender" };
  }
  const body = parseBody(bodyText);
  if (body === null) return { refused: "its body is not of a known shape" };
  const { message, ...stamp } = body;
  if (message.type !== type) return { refused: "it says to be of two types" };
  return { from, to, message, stamp: { ...stamp, seq } };
}

function describeBadEnvelope(data: unknown): string {
  const version = z.object({ version: z.number() }).safeParse(data).data?.version;
  return version === undefined || version === VERSION
    ? "it is not of the shape of a room's messages"
    : `it is of version ${version} of the room's protocol, this program knows ${VERSION}: ` +
      "update the older of the two programs";
}

interface Header {
  readonly topic: string;
  readonly from: string;
  readonly to: string | null;
  readonly type: string;
  readonly seq: number;
}

function headerBytes({ topic, from, to, type, seq }: Header): Uint8Array<ArrayBuffer> {
  return lengthPrefixed([`tessera room v${VERSION}`, topic, from, to ?? EVERYONE, type, `${seq}`]);
}

function signedBytes(parts: {
  readonly keys: RoomKeys;
  readonly header: Uint8Array<ArrayBuffer>;
  readonly body: Uint8Array<ArrayBuffer>;
}): Uint8Array<ArrayBuffer> {
  return concatBytes([parts.header, lengthPrefixed([parts.keys.room]), parts.body]);
}

/** UTF-8 texts, each after its length, so that no two lists of texts give the same bytes. */
function lengthPrefixed(texts: readonly string[]): Uint8Array<ArrayBuffer> {
  return concatBytes(texts.flatMap((text) => {
    const bytes = new TextEncoder().encode(text);
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, bytes.length);
    return [length, bytes];
  }));
}

function concatBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}

async function decrypt(meshCrypto: MeshCrypto, box: {
  readonly key: CryptoKey;
  readonly header: Uint8Array<ArrayBuffer>;
  readonly sealed: Uint8Array<ArrayBuffer>;
}): Promise<Uint8Array<ArrayBuffer> | null> {
  const iv = box.sealed.slice(0, IV_BYTES);
  try {
    return new Uint8Array(
      await meshCrypto.subtle.decrypt(
        { name: "AES-GCM", iv, additionalData: box.header },
        box.key,
        box.sealed.slice(IV_BYTES),
      ),
    );
  } catch {
    return null;
  }
}

function parseBody(bytes: Uint8Array): z.infer<typeof BODY> | null {
  try {
    return BODY.safeParse(JSON.parse(new TextDecoder().decode(bytes))).data ?? null;
  } catch {
    return null;
  }
}
