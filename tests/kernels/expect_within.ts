import { expect } from "vitest";
import type { Expected } from "../reference.ts";

/**
 * Holds every element to its value and rounding bound, and names the worst one. NaN never passes.
 * `hint` says what was computed.
 */
export function expectWithin(actual: Float32Array, expected: Expected, hint = ""): void {
  const { values, bounds } = expected;
  expect(actual.length, hint).toBe(values.length);
  let worst = { index: -1, ratio: 0 };
  actual.forEach((value, index) => {
    const error = Math.abs(value - values[index]!);
    const ratio = error === 0 ? 0 : error / bounds[index]!;
    if (!(ratio <= worst.ratio)) worst = { index, ratio: Number.isNaN(ratio) ? Infinity : ratio };
  });
  const { index, ratio } = worst;
  expect(
    ratio,
    `${hint} element ${index} of ${values.length}: got ${actual[index]}, want ${values[index]} ` +
      `within ${bounds[index]}`,
  ).toBeLessThanOrEqual(1);
}

/** Bits of f32 numbers, so that equality means the same bits. */
export function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}
