/**
 * Reads numbers and strings one after another from the front of a ByteSource, fetching as little
 * as it can: the header of a file of many gigabytes is a few megabytes.
 *
 * @module
 */
import type { ByteSource } from "./byte_source.ts";
import { DAMAGED, FormatError } from "./format_error.ts";

const FIRST_WINDOW_BYTES = 256 * 1024;
/** Vocabularies are many short strings, and a call of TextDecoder costs microseconds. */
const SHORT_STRING_BYTES = 48;

/** Thrown inside `read` callbacks when the window ends too early. */
class WindowEnd extends Error {
  constructor(readonly neededBytes: number) {
    super("The window ends before the value");
  }
}

/** A position in a growing window over the first bytes of a file. */
export class HeaderCursor {
  readonly #source: ByteSource;
  readonly #maxBytes: number;
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #bytes = new Uint8Array(0);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  /** A header longer than `maxBytes` is refused. */
  constructor(source: ByteSource, { maxBytes }: { maxBytes: number }) {
    this.#source = source;
    this.#maxBytes = Math.min(maxBytes, source.size);
  }

  /** Bytes read so far. */
  get position(): number {
    return this.#at;
  }

  /** Most bytes that can still follow in the header. */
  get numBytesLeft(): number {
    return this.#maxBytes - this.#at;
  }

  /**
   * Runs `parse`, which reads from this cursor and must have no other effect; runs it again from
   * the same position after fetching more when the window was too short.
   */
  async read<T>(parse: () => T): Promise<T> {
    const start = this.#at;
    for (;;) {
      try {
        return parse();
      } catch (error) {
        if (!(error instanceof WindowEnd)) throw error;
        this.#at = start;
        await this.#grow(error.neededBytes);
      }
    }
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  i8(): number {
    return this.#view.getInt8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  i16(): number {
    return this.#view.getInt16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  i32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }

  f32(): number {
    return this.#view.getFloat32(this.#take(4), true);
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }

  i64(): bigint {
    return this.#view.getBigInt64(this.#take(8), true);
  }

  /** A u64 that counts `what`, each of at least `minBytes` bytes that must still follow. */
  count(what: string, minBytes: number): number {
    const low = this.u32();
    // Beyond 2^53 the sum is rounded, and far beyond what any file holds.
    const count = this.u32() * 2 ** 32 + low;
    if (count * minBytes > this.numBytesLeft) {
      throw new FormatError(
        this.#source.name,
        `it claims ${count} ${what} where ${this.numBytesLeft} bytes are left; ${DAMAGED}`,
      );
    }
    return count;
  }

  /** UTF-8 after a u64 length. Bytes that are no UTF-8 become U+FFFD. */
  string(): string {
    const length = this.count("characters", 1);
    const start = this.#take(length);
    const text = length <= SHORT_STRING_BYTES
      ? decodeShort(this.#bytes, start, start + length)
      : null;
    if (text !== null) return text;
    return this.#decoder.decode(this.#bytes.subarray(start, start + length));
  }

  /** A copy of the next bytes, aligned for any typed array. */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    const start = this.#take(length);
    return this.#bytes.slice(start, start + length);
  }

  #take(length: number): number {
    const start = this.#at;
    if (start + length > this.#bytes.length) throw new WindowEnd(start + length);
    this.#at = start + length;
    return start;
  }

  async #grow(neededBytes: number): Promise<void> {
    if (neededBytes > this.#maxBytes) {
      const limit = this.#maxBytes < this.#source.size
        ? `its header is longer than ${this.#maxBytes} bytes`
        : `it ends inside its header, at byte ${this.#source.size}`;
      throw new FormatError(this.#source.name, `${limit}; ${DAMAGED}`);
    }
    const wanted = Math.max(neededBytes, 2 * this.#bytes.length, FIRST_WINDOW_BYTES);
    const size = Math.min(wanted, this.#maxBytes);
    const grown = new Uint8Array(size);
    grown.set(this.#bytes);
    grown.set(await this.#source.read(this.#bytes.length, size), this.#bytes.length);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/** UTF-8 bytes [start, end) as text, or null where TextDecoder must decide. */
function decodeShort(bytes: Uint8Array, start: number, end: number): string | null {
  let text = "";
  for (let at = start; at < end;) {
    const lead = bytes[at++]!;
    if (lead < 0x80) {
      text += String.fromCharCode(lead);
    } else if (lead >= 0xc2 && lead < 0xe0 && at < end) {
      const tail = bytes[at++]!;
      if ((tail & 0xc0) !== 0x80) return null;
      text += String.fromCharCode(((lead & 0x1f) << 6) | (tail & 0x3f));
    } else if (lead >= 0xe1 && lead <= 0xec && at + 1 < end) {
      const middle = bytes[at++]!;
      const tail = bytes[at++]!;
      if ((middle & 0xc0) !== 0x80 || (tail & 0xc0) !== 0x80) return null;
      text += String.fromCharCode(((lead & 0xf) << 12) | ((middle & 0x3f) << 6) | (tail & 0x3f));
    } else if (lead >= 0xf1 && lead <= 0xf3 || lead === 0xf0 && (bytes[at] ?? 0) >= 0x90) {
      if (at + 2 >= end) return null;
      let point = lead & 0x7;
      for (const tailEnd = at + 3; at < tailEnd; at++) {
        const tail = bytes[at]!;
        if ((tail & 0xc0) !== 0x80) return null;
        point = (point << 6) | (tail & 0x3f);
      }
      text += String.fromCodePoint(point);
    } else {
      return null;
    }
  }
  return text;
}
