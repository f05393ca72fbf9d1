/**
 * The link that lets someone into a room: `https://host:port/#v1.<room>.<secret>`, and after it,
 * where needed, `&signaling=<ws or wss URL>`, `&coordinator=<peer id>` and `&ice=<STUN or TURN
 * server>`. Everything after the `#` stays with whoever opens the link: browsers do not send
 * fragments.
 *
 * @module
 */
import type { MeshCrypto } from "../platform/platform.ts";
import { decodeBase64Url, encodeBase64Url } from "./base64url.ts";
import { formatIceServer, parseIceServer } from "./ice_server.ts";

/** Where a room is and what lets one in. Never to be logged: `redactLink` its text. */
export interface JoinLink {
  /** The page that the link opens, without fragment. */
  readonly pageUrl: string;
  /** 16 random bytes in base64url, 22 characters. */
  readonly room: string;
  /** 16 random bytes. */
  readonly secret: Uint8Array<ArrayBuffer>;
  /** `ws:` or `wss:` URL of the signaling server. */
  readonly signalingUrl: string;
  /** Peer id of the only coordinator to be trusted; null when anyone in the room may be it. */
  readonly coordinatorId: string | null;
  /** STUN and TURN servers for everyone in the room. */
  readonly iceServers: readonly RTCIceServer[];
}

/** A text that is no join link. The message says what is wrong and the fix, and has no secret. */
export class JoinLinkError extends Error {
  override readonly name = "JoinLinkError";
}

const VERSION = "v1";
const PART_BYTES = 16;
const PART_LENGTH = 22;
const SIGNALING_PATH = "/signaling";
const COPY_AGAIN = "copy the whole link again";

/** What a new link may say beside where its page is. */
export interface GenerateJoinLinkOptions {
  /** Where the page is served: `http:` or `https:`; a fragment is dropped. */
  readonly pageUrl: string;
  /** Where it is not `/signaling` of the page's own origin. */
  readonly signalingUrl?: string;
  readonly coordinatorId?: string;
  readonly iceServers?: readonly RTCIceServer[];
}

/** A link to a new room with a new secret. Throws a JoinLinkError when an address is unusable. */
export function generateJoinLink(
  meshCrypto: MeshCrypto,
  options: GenerateJoinLinkOptions,
): JoinLink {
  const page = readPageUrl(options.pageUrl);
  return {
    pageUrl: withoutFragment(page),
    room: encodeBase64Url(meshCrypto.randomBytes(PART_BYTES)),
    secret: meshCrypto.randomBytes(PART_BYTES),
    signalingUrl: readSignalingUrl(options.signalingUrl ?? null, page),
    coordinatorId: readCoordinatorId(options.coordinatorId ?? null),
    iceServers: options.iceServers ?? [],
  };
}

/** The link as text. It holds the secret. Quote it in a shell: it may contain `&`. */
export function formatJoinLink(link: JoinLink): string {
  const { pageUrl, room, secret, signalingUrl, coordinatorId, iceServers } = link;
  let text = `${pageUrl}#${VERSION}.${room}.${encodeBase64Url(secret)}`;
  if (signalingUrl !== readSignalingUrl(null, new URL(pageUrl))) {
    text += `&signaling=${encodeURIComponent(signalingUrl)}`;
  }
  if (coordinatorId !== null) text += `&coordinator=${coordinatorId}`;
  for (const server of iceServers) text += `&ice=${encodeURIComponent(formatIceServer(server))}`;
  return text;
}

/** Reads a link. Throws a JoinLinkError or an IceServerError. */
export function parseJoinLink(text: string): JoinLink {
  const page = readPageUrl(text.trim());
  const [key = "", ...fields] = page.hash.slice(1).split("&");
  if (key === "") {
    throw new JoinLinkError(
      `The join link has no part after "#", which lets you into the room: ${COPY_AGAIN}`,
    );
  }
  const [version = "", room, secret, ...more] = key.split(".");
  if (!/^v\d+$/.test(version)) {
    throw new JoinLinkError(`What follows "#" is not of a join link: ${COPY_AGAIN}`);
  }
  if (version !== VERSION) {
    throw new JoinLinkError(
      `The join link is of version "${version}", this program knows "${VERSION}": update it, or ` +
        "make a new link with the same version of the program",
    );
  }
  if (more.length > 0) {
    throw new JoinLinkError(`The join link goes on after its secret: ${COPY_AGAIN}, and no more`);
  }
  const options = new URLSearchParams(fields.join("&"));
  return {
    pageUrl: withoutFragment(page),
    room: encodeBase64Url(readPart("room", room)),
    secret: readPart("secret", secret),
    signalingUrl: readSignalingUrl(options.get("signaling"), page),
    coordinatorId: readCoordinatorId(options.get("coordinator")),
    iceServers: options.getAll("ice").map(parseIceServer),
  };
}

/** The text with secrets and TURN logins of every join link in it replaced by "***", for logs. */
export function redactLink(text: string): string {
  return text.replace(/(v\d+\.[A-Za-z0-9_-]{16,}\.)[^\s&"'<>)]+/g, "$1***")
    .replace(/([&?]ice=turns?(?::|%3A))[^\s&"'<>)]+/gi, "$1***");
}

function readPageUrl(text: string): URL {
  // The text is not quoted in these messages: it may hold the secret.
  if (!URL.canParse(text)) {
    throw new JoinLinkError(
      `The join link is not a URL, such as "https://host/#v1...": ${COPY_AGAIN}`,
    );
  }
  const url = new URL(text);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new JoinLinkError(
      `The join link starts with "${url.protocol}" and not with "http:" or "https:": ${COPY_AGAIN}`,
    );
  }
  return url;
}

function withoutFragment(url: URL): string {
  return url.href.slice(0, url.href.length - url.hash.length).replace(/#$/, "");
}

function readPart(name: "room" | "secret", text = ""): Uint8Array<ArrayBuffer> {
  if (text.length < PART_LENGTH) {
    throw new JoinLinkError(`The join link is cut off in its ${name}: ${COPY_AGAIN}`);
  }
  if (text.length > PART_LENGTH) {
    throw new JoinLinkError(`The join link's ${name} is too long: ${COPY_AGAIN}, and no more`);
  }
  const bytes = decodeBase64Url(text);
  if (bytes === null) {
    throw new JoinLinkError(`The join link's ${name} was changed on the way: ${COPY_AGAIN}`);
  }
  return bytes;
}

function readSignalingUrl(text: string | null, page: URL): string {
  if (text === null) {
    return `${page.protocol === "https:" ? "wss:" : "ws:"}//${page.host}${SIGNALING_PATH}`;
  }
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== "ws:" && url.protocol !== "wss:")) {
    throw new JoinLinkError(
      `The signaling address "${text}" is not a URL of "ws:" or "wss:", such as ` +
        '"wss://host/signaling": correct it or leave it out',
    );
  }
  return url.href;
}

function readCoordinatorId(text: string | null): string | null {
  if (text !== null && !/^[0-9a-f]{32}$/.test(text)) {
    throw new JoinLinkError(
      `The coordinator's id "${text}" in the join link is not of 32 hexadecimal digits: ${COPY_AGAIN}`,
    );
  }
  return text;
}
