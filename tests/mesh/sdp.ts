/** A SHA-256 fingerprint as SDP writes it, counting up from `first`. */
export function fingerprint(first: number): string {
  const bytes = Array.from({ length: 32 }, (_, i) => (first + i) % 256);
  return bytes.map((byte) => byte.toString(16).padStart(2, "0").toUpperCase()).join(":");
}

/** The lines of a session description that matter here. */
export function sdpWith(fingerprint: string): string {
  return `v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\na=fingerprint:sha-256 ${fingerprint}\r\n`;
}
