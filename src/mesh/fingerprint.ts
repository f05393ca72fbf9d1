/**
 * Fingerprints of DTLS certificates in session descriptions (RFC 8122): what ties a connection to
 * the signed message that set it up.
 *
 * @module
 */

const SHA256_FINGERPRINT =
  /^a=fingerprint:sha-256[ \t]+((?:[0-9a-f]{2}:){31}[0-9a-f]{2})[ \t]*$/gim;

/** The SHA-256 fingerprints that an SDP text names, upper case, each once. */
export function readFingerprints(sdp: string): readonly string[] {
  const found = [...sdp.matchAll(SHA256_FINGERPRINT)].map(([, digits = ""]) => digits);
  return [...new Set(found.map(normalizeFingerprint))];
}

/** The fingerprints of a signal, whatever it is: empty unless it is a session description. */
export function fingerprintsOfSignal(signal: unknown): readonly string[] {
  const hasSdp = typeof signal === "object" && signal !== null && "sdp" in signal;
  return hasSdp && typeof signal.sdp === "string" ? readFingerprints(signal.sdp) : [];
}

/** Whether a certificate's fingerprint, in upper or lower case, is one of those announced. */
export function isAnnouncedFingerprint(announced: readonly string[], fingerprint: string): boolean {
  return announced.map(normalizeFingerprint).includes(normalizeFingerprint(fingerprint));
}

function normalizeFingerprint(fingerprint: string): string {
  return fingerprint.trim().toUpperCase();
}
