/** Writes a number as an f32 literal of WGSL, rounded to f32. */
export function f32Literal(value: number): string {
  const rounded = Math.fround(value);
  if (!Number.isFinite(rounded)) throw new RangeError(`No f32 literal for ${value}`);
  return `${rounded}f`;
}
