/**
 * A TLS certificate that vouches for itself, for a mesh on a local network: X.509 v3 (RFC 5280),
 * ECDSA P-256.
 *
 * @module
 */
import {
  der,
  derBits,
  derOctets,
  derOid,
  derSequence,
  derText,
  derTime,
  derUnsigned,
} from "./der.ts";

/** Browsers refuse certificates that live longer. */
const VALID_DAYS = 397;
const DAY_MS = 86_400_000;
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const SERIAL_BYTES = 16;

/** What is certified, and when. */
export interface SelfSignedOptions {
  /** Host names and IP addresses, without brackets or ports; at least one. */
  readonly hosts: readonly string[];
  readonly now: Date;
}

/** A certificate and its PKCS #8 private key, both PEM. */
export interface CertificatePair {
  readonly cert: string;
  readonly key: string;
}

/**
 * Makes a certificate for a server, valid from a day ago for 397 days. Throws a RangeError for a
 * host that is neither a name nor an address.
 */
export async function selfSignedCertificate(
  { hosts, now }: SelfSignedOptions,
): Promise<CertificatePair> {
  if (hosts.length === 0) throw new RangeError("Cannot certify nothing: give at least one host");
  const names = hosts.map(generalName);
  const { publicKey, privateKey } = await crypto.subtle.generateKey(ALGORITHM, true, [
    "sign",
    "verify",
  ]);
  const notBefore = new Date(now.getTime() - DAY_MS);
  const notAfter = new Date(notBefore.getTime() + VALID_DAYS * DAY_MS);
  const signatureAlgorithm = derSequence(derOid("1.2.840.10045.4.3.2"));
  const issuer = derSequence(der(0x31, derSequence(derOid("2.5.4.3"), derText("Tessera"))));
  const certificate = derSequence(
    der(0xa0, derUnsigned(Uint8Array.of(2))),
    derUnsigned(serialNumber()),
    signatureAlgorithm,
    issuer,
    derSequence(derTime(notBefore), derTime(notAfter)),
    issuer,
    new Uint8Array(await crypto.subtle.exportKey("spki", publicKey)),
    der(0xa3, derSequence(...extensions(names))),
  );
  const signature = new Uint8Array(await crypto.subtle.sign(ALGORITHM, privateKey, certificate));
  const signed = derSequence(certificate, signatureAlgorithm, derBits(derSignature(signature)));
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey));
  return { cert: pem("CERTIFICATE", signed), key: pem("PRIVATE KEY", pkcs8) };
}

/** No authority, signs handshakes only, as a server, under `names`. */
function extensions(names: readonly Uint8Array[]): Uint8Array[] {
  const isCritical = der(0x01, Uint8Array.of(0xff));
  return [
    derSequence(derOid("2.5.29.19"), isCritical, derOctets(derSequence())),
    derSequence(derOid("2.5.29.15"), isCritical, derOctets(derBits(Uint8Array.of(0x80), 7))),
    derSequence(derOid("2.5.29.37"), derOctets(derSequence(derOid("1.3.6.1.5.5.7.3.1")))),
    derSequence(derOid("2.5.29.17"), derOctets(derSequence(...names))),
  ];
}

/** An entry of the subject alternative names: an address as bytes, else a DNS name. */
function generalName(host: string): Uint8Array {
  const isIpv6 = host.includes(":");
  const address = isIpv6 ? `http://[${host}]` : `http://${host}`;
  const { hostname, host: withPort, href } = URL.parse(address) ?? {};
  if (!hostname || hostname !== withPort || href !== `http://${hostname}/`) {
    throw new RangeError(`Cannot certify "${host}": use a host name or an IP address`);
  }
  if (isIpv6) return der(0x87, ipv6Bytes(hostname.slice(1, -1)));
  if (/^\d+(\.\d+){3}$/.test(hostname)) {
    return der(0x87, Uint8Array.from(hostname.split("."), Number));
  }
  return der(0x82, new TextEncoder().encode(hostname));
}

/** 16 bytes of an address in the form that URLs normalise to. */
function ipv6Bytes(address: string): Uint8Array {
  const [head = "", tail] = address.split("::");
  const groups = (text: string) => text === "" ? [] : text.split(":");
  const last = groups(tail ?? "");
  const first = groups(head);
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => "0");
  const words = [...first, ...zeros, ...last].map((group) => parseInt(group, 16));
  return Uint8Array.from(words.flatMap((word) => [word >>> 8, word & 0xff]));
}

/** Random and positive. */
function serialNumber(): Uint8Array {
  const bytes = crypto.getRandomValues(new Uint8Array(SERIAL_BYTES));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes;
}

/** WebCrypto gives two numbers of 32 bytes, X.509 wants a sequence of them. */
function derSignature(signature: Uint8Array): Uint8Array {
  const half = signature.length / 2;
  return derSequence(
    derUnsigned(signature.subarray(0, half)),
    derUnsigned(signature.subarray(half)),
  );
}

function pem(label: string, bytes: Uint8Array): string {
  const base64 = btoa(String.fromCharCode(...bytes)).replace(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN ${label}-----\n${base64}\n-----END ${label}-----\n`;
}
