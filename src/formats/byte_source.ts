/**
 * Bytes that can be read by range: a file, a URL, an array.
 *
 * @module
 */

/** Where bytes come from, for those who want the same ones. */
export interface ByteOrigin {
  /** Where anyone can read them by range; empty when nowhere. They hold no credentials. */
  readonly urls: readonly string[];
  /** Other for other content, such as a commit and a path in it; null when nothing tells. */
  readonly version: string | null;
}

/** A sequence of bytes of known length. Reads may overlap. */
export interface ByteSource {
  /** What error messages call it. */
  readonly name: string;
  /** Length in bytes. */
  readonly size: number;
  /** Absent for bytes that exist here alone. */
  readonly origin?: ByteOrigin;
  /** Exactly the bytes [start, end), in memory of their own. Throws when they cannot be had. */
  read(start: number, end: number): Promise<Uint8Array>;
  /** Frees what is open. Reads in flight may reject. */
  close(): Promise<void>;
}
