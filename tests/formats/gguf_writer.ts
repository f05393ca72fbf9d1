/** Writes small GGUF files, right or wrong on purpose. */

/** A value with its type in the file. */
export type TypedValue = readonly [type: number, bytes: Uint8Array];

export interface GgufSpec {
  readonly magic?: string;
  readonly version?: number;
  readonly numTensors?: bigint;
  readonly numValues?: bigint;
  readonly metadata?: readonly (readonly [key: string, value: TypedValue])[];
  readonly tensors?: readonly {
    readonly name: string;
    readonly dims: readonly bigint[];
    readonly type?: number;
    readonly offset: bigint;
  }[];
  /** Bytes after the aligned header. */
  readonly dataBytes?: number;
  readonly alignment?: number;
}

export function u32(value: number): Uint8Array {
  return new Uint8Array(new Uint32Array([value]).buffer);
}

export function f32(value: number): Uint8Array {
  return new Uint8Array(new Float32Array([value]).buffer);
}

export function u64(value: bigint): Uint8Array {
  return new Uint8Array(new BigUint64Array([value]).buffer);
}

export function text(value: string): Uint8Array {
  const bytes = new TextEncoder().encode(value);
  return concat([u64(BigInt(bytes.length)), bytes]);
}

export function array(type: number, items: readonly Uint8Array[]): Uint8Array {
  return concat([u32(type), u64(BigInt(items.length)), ...items]);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((total, { length }) => total + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

export const asU32 = (value: number): TypedValue => [4, u32(value)];
export const asF32 = (value: number): TypedValue => [6, f32(value)];
export const asText = (value: string): TypedValue => [8, text(value)];

export function writeGguf(spec: GgufSpec): Uint8Array<ArrayBuffer> {
  const metadata = spec.metadata ?? [];
  const tensors = spec.tensors ?? [];
  const header = concat([
    new TextEncoder().encode(spec.magic ?? "GGUF"),
    u32(spec.version ?? 3),
    u64(spec.numTensors ?? BigInt(tensors.length)),
    u64(spec.numValues ?? BigInt(metadata.length)),
    ...metadata.map(([key, [type, bytes]]) => concat([text(key), u32(type), bytes])),
    ...tensors.map(({ name, dims, type, offset }) =>
      concat([text(name), u32(dims.length), ...dims.map(u64), u32(type ?? 0), u64(offset)])
    ),
  ]);
  const alignment = spec.alignment ?? 32;
  const padding = (alignment - header.length % alignment) % alignment;
  return concat([header, new Uint8Array(padding + (spec.dataBytes ?? 0))]);
}
