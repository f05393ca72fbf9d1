/** What a RemoteStore sends to the Worker that has the store, as JSON. */
export interface StoreCall {
  readonly store: string;
  readonly method:
    | "size"
    | "read"
    | "write"
    | "rename"
    | "remove"
    | "list"
    | "release"
    | "forgetMove"
    | "end";
  /** Those of the Store's method; bytes as `toText` makes them. */
  readonly args: readonly unknown[];
}

/** What comes back. */
export interface StoreAnswer {
  readonly value?: unknown;
  readonly problem?: { readonly name: string; readonly message: string };
}

/** Bytes as characters of JSON. */
export function toText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

export function toBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
