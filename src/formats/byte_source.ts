/**
 * Bytes that can be read by range: a file, a URL, an array.
 *
 * @module
 */

/** A sequence of bytes of known length. Reads may overlap. */
export interface ByteSource {
  /** What error messages call it. */
  readonly name: string;
  /** Length in bytes. */
  readonly size: number;
  /** Exactly the bytes [start, end), in memory of their own. Throws when they cannot be had. */
  read(start: number, end: number): Promise<Uint8Array>;
  /** Frees what is open. Reads in flight may reject. */
  close(): Promise<void>;
}
