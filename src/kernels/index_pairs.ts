/** From where to where something is copied. */
export type IndexPair = readonly [from: number, to: number];

/** A list of pairs as shaders read it: (count, 0), then the pairs. */
export function packPairs(pairs: readonly IndexPair[]): Uint32Array<ArrayBuffer> {
  return Uint32Array.from([pairs.length, 0, ...pairs.flat()]);
}

/** Bytes of a list of `numPairs`. */
export function pairsBytes(numPairs: number): number {
  return 8 * (1 + numPairs);
}
