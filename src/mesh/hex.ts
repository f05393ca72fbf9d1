/** Lower-case hexadecimal digits of `bytes`. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The `length` bytes that `digits` stand for; null when they do not. */
export function fromHex(digits: unknown, length: number): Uint8Array<ArrayBuffer> | null {
  if (typeof digits !== "string" || digits.length !== 2 * length) return null;
  if (!/^[0-9a-f]*$/.test(digits)) return null;
  return Uint8Array.from({ length }, (_, i) => parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}
