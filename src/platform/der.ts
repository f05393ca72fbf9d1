/**
 * The parts of DER (ITU-T X.690) that a certificate is written with. Each function gives one encoded
 * value.
 *
 * @module
 */

/** A value of any tag: the tag byte, the length, the parts. */
export function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const content = concat(parts);
  return concat([Uint8Array.of(tag, ...derLength(content.length)), content]);
}

export function derSequence(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return der(0x30, ...parts);
}

/** A number of at least 0, from big-endian bytes. */
export function derUnsigned(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const firstSet = bytes.findIndex((byte) => byte !== 0);
  const digits = firstSet < 0 ? Uint8Array.of(0) : bytes.subarray(firstSet);
  const isNegative = (digits[0] ?? 0) >= 0x80;
  return isNegative ? der(0x02, Uint8Array.of(0), digits) : der(0x02, digits);
}

/** An object identifier such as "2.5.4.3". */
export function derOid(dotted: string): Uint8Array<ArrayBuffer> {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const digits = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) digits.unshift(0x80 | (left & 0x7f));
    bytes.push(...digits);
  }
  return der(0x06, Uint8Array.from(bytes));
}

/** Bits of which the last `numUnused` do not count. */
export function derBits(bytes: Uint8Array, numUnused = 0): Uint8Array<ArrayBuffer> {
  return der(0x03, Uint8Array.of(numUnused), bytes);
}

export function derOctets(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return der(0x04, bytes);
}

export function derText(text: string): Uint8Array<ArrayBuffer> {
  return der(0x0c, new TextEncoder().encode(text));
}

/** To the second, as RFC 5280 has it: two digits of the year up to 2049, four after. */
export function derTime(date: Date): Uint8Array<ArrayBuffer> {
  const digits = date.toISOString().replace(/\.\d+/, "").replace(/[-:T]/g, "");
  const hasShortYear = date.getUTCFullYear() < 2050;
  const text = hasShortYear ? digits.slice(2) : digits;
  return der(hasShortYear ? 0x17 : 0x18, new TextEncoder().encode(text));
}

function derLength(length: number): number[] {
  if (length < 0x80) return [length];
  const digits: number[] = [];
  for (let left = length; left > 0; left >>>= 8) digits.unshift(left & 0xff);
  return [0x80 | digits.length, ...digits];
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}
