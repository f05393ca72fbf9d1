/**
 * Hidden states on the wire: f32 keeps every bit, f16 halves the bytes.
 *
 * @module
 */
import { WireError } from "./wire_reader.ts";

/** How hidden states travel between stages. */
export type HiddenType = "f32" | "f16";

/** Bytes of `values` in the wire's type; a view of them where nothing changes. */
export function encodeHidden(values: Float32Array, type: HiddenType): Uint8Array {
  if (type === "f32") return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return new Uint8Array(new Float16Array(values).buffer);
}

/**
 * f32 [numElements] in memory of its own. Throws a WireError when the length is wrong or an
 * element is no finite number: a stage must not compute with it.
 */
export function decodeHidden(
  bytes: Uint8Array,
  { type, numElements }: { readonly type: HiddenType; readonly numElements: number },
): Float32Array {
  const elementBytes = type === "f32" ? 4 : 2;
  if (bytes.length !== numElements * elementBytes) {
    throw new WireError(
      `${bytes.length} bytes of hidden states came instead of ${numElements * elementBytes}`,
    );
  }
  const { buffer } = bytes.slice();
  const values = type === "f32" ? new Float32Array(buffer) : Float32Array.from(
    new Float16Array(buffer),
  );
  for (const value of values) {
    // The difference is NaN for infinities and NaN, else 0.
    if (value - value !== 0) {
      const because = type === "f16" ? ", or exceed f16: send them as f32" : "";
      throw new WireError(`The hidden states are not finite${because}`);
    }
  }
  return values;
}
