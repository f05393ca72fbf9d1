/** A hash of integers. It fits in 24 bits, so that a Float32Array carries it exactly. */
export function hash(...values: readonly number[]): number {
  let state = 0x811c9dc5;
  for (const value of values) {
    state = Math.imul(state ^ value, 0x01000193);
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d);
  }
  return (state ^ (state >>> 13)) >>> 8;
}
