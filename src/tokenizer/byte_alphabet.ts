/**
 * The alphabet of byte-level vocabularies: every byte has one printable character, so that any
 * bytes can be written as text. Bytes that are visible in Latin-1 stand for themselves; the other
 * 68 take U+0100 onwards in order.
 *
 * Source: GPT-2, https://github.com/openai/gpt-2/blob/master/src/encoder.py
 */
export const BYTE_CHARACTERS: readonly string[] = byteCharacters();

const BYTES: ReadonlyMap<string, number> = new Map(
  BYTE_CHARACTERS.map((character, byte) => [character, byte]),
);

const ENCODER = new TextEncoder();

/** Writes text in the byte alphabet: " é" becomes "ĠÃ©". */
export function toByteCharacters(text: string): string {
  let spelled = "";
  for (const byte of ENCODER.encode(text)) spelled += BYTE_CHARACTERS[byte];
  return spelled;
}

/** The bytes that a token of a byte-level vocabulary stands for; null if it is not spelled so. */
export function fromByteCharacters(token: string): Uint8Array | null {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = BYTES.get(token.charAt(i));
    if (byte === undefined) return null;
    bytes[i] = byte;
  }
  return bytes;
}

function byteCharacters(): string[] {
  let numHidden = 0;
  return Array.from({ length: 256 }, (_, byte) => {
    const isVisible = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
    return String.fromCharCode(isVisible ? byte : 0x100 + numHidden++);
  });
}
