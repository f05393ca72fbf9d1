/**
 * Channel binding: proof that this very connection ends at the peer that it should end at. Both
 * sides sign the certificates of the connection as they see them, so that whoever sits between two
 * connections has nothing to pass on.
 *
 * @module
 */
import type { MeshCrypto } from "../platform/platform.ts";
import { toHex } from "./hex.ts";
import { type Identity, peerIdOf, verifySignature } from "./identity.ts";
import type { LinkMessage } from "./link_message.ts";
import { LinkRefusedError } from "./link_refused_error.ts";

/** The control channel of a connection, as the handshake uses it. */
export interface HandshakeChannel {
  send(message: LinkMessage): void;
  /** The next message from the other side; rejects when the connection or the attempt ends. */
  receive(): Promise<LinkMessage>;
}

/** Who should be at the ends of the connection, and with which certificates. */
export interface HandshakeOptions {
  readonly crypto: MeshCrypto;
  readonly identity: Identity;
  /** Of the other side. */
  readonly peerId: string;
  readonly isInitiator: boolean;
  /** SHA-256 fingerprints of both certificates, as SDP writes them. */
  readonly localFingerprint: string;
  readonly remoteFingerprint: string;
}

/**
 * Exchanges keys, nonces and signatures.
 *
 * @throws LinkRefusedError when the other side is not `peerId`, or refuses this one.
 */
export async function bindChannel(
  channel: HandshakeChannel,
  options: HandshakeOptions,
): Promise<void> {
  const { crypto: meshCrypto, identity, peerId, isInitiator } = options;
  const nonce = meshCrypto.randomBytes(32);
  channel.send({ type: "hello", publicKey: identity.publicKey, nonce });
  const hello = await receive(channel, "hello");
  const claimedId = await peerIdOf(meshCrypto, hello.publicKey);
  if (claimedId !== peerId) {
    throw new LinkRefusedError(`Wrong key: it belongs to peer "${claimedId}", not to "${peerId}"`);
  }
  const transcript = (signer: string): Uint8Array<ArrayBuffer> =>
    new TextEncoder().encode([
      "tessera link v1",
      signer,
      ...inOrder(isInitiator, identity.peerId, peerId),
      ...inOrder(isInitiator, options.localFingerprint, options.remoteFingerprint),
      ...inOrder(isInitiator, toHex(nonce), toHex(hello.nonce)),
    ].join("\n"));
  const ownRole = isInitiator ? "initiator" : "responder";
  const otherRole = isInitiator ? "responder" : "initiator";
  channel.send({ type: "proof", signature: await identity.sign(transcript(ownRole)) });
  const { signature } = await receive(channel, "proof");
  const { publicKey } = hello;
  if (!await verifySignature(meshCrypto, { publicKey, data: transcript(otherRole), signature })) {
    throw new LinkRefusedError(
      `Wrong signature: peer "${peerId}" did not sign the certificates of this connection`,
    );
  }
}

async function receive<T extends "hello" | "proof">(
  channel: HandshakeChannel,
  type: T,
): Promise<LinkMessage & { type: T }> {
  const message = await channel.receive();
  if (message.type === "bye") {
    throw new LinkRefusedError(`Refused by the other side: ${message.reason}`);
  }
  if (message.type !== type) {
    throw new LinkRefusedError(`Expected "${type}" from the other side, got "${message.type}"`);
  }
  return message as LinkMessage & { type: T };
}

/** The initiator's first, on both sides. */
function inOrder<T>(isInitiator: boolean, own: T, other: T): [T, T] {
  return isInitiator ? [own, other] : [other, own];
}
