/** A peer's bytes are not what they should be; the message says where. */
export class WireError extends Error {
  override readonly name = "WireError";
}

/**
 * Reads little-endian numbers in order. Throws a WireError past the end; nothing is allocated for
 * counts that the remaining bytes cannot hold.
 */
export class WireReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get numLeft(): number {
    return this.#bytes.length - this.#at;
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  u32s(count: number): Uint32Array {
    const start = this.#take(count * 4);
    const values = new Uint32Array(count);
    for (let i = 0; i < count; i++) values[i] = this.#view.getUint32(start + i * 4, true);
    return values;
  }

  /** The next `count` bytes, as a view. */
  bytes(count: number): Uint8Array {
    const start = this.#take(count);
    return this.#bytes.subarray(start, start + count);
  }

  /** Throws a WireError unless everything was read. */
  end(): void {
    if (this.numLeft > 0) throw new WireError(`${this.numLeft} bytes are left over`);
  }

  #take(numBytes: number): number {
    const start = this.#at;
    if (!(numBytes <= this.numLeft)) {
      throw new WireError(`${numBytes} bytes are wanted at ${start} of ${this.#bytes.length}`);
    }
    this.#at += numBytes;
    return start;
  }
}
