/**
 * `hash` of tests/pipeline/hash.ts for two and three values: the simulation spends much of its time
 * in it.
 *
 * @module
 */

const START = 0x811c9dc5 | 0;

function mixed(state: number, value: number): number {
  const product = Math.imul(state ^ value, 0x01000193);
  return Math.imul(product ^ (product >>> 15), 0x2c1b3c6d);
}

function end(state: number): number {
  return (state ^ (state >>> 13)) >>> 8;
}

export function hash2(a: number, b: number): number {
  return end(mixed(mixed(START, a), b));
}

export function hash3(a: number, b: number, c: number): number {
  return end(mixed(mixed(mixed(START, a), b), c));
}
