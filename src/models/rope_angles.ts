import type { RopeConfig } from "../core.ts";

/**
 * (cos, sin) of every position and pair: f32 [numPositions, rotaryDim / 2, 2]. Frequencies and
 * angles are rounded to f32 where Hugging Face's float32 model rounds them.
 */
export function ropeAngles(rope: RopeConfig, numPositions: number): Float32Array<ArrayBuffer> {
  const frequencies = ropeFrequencies(rope);
  const numPairs = frequencies.length;
  const angles = new Float32Array(numPositions * numPairs * 2);
  for (let position = 0; position < numPositions; position++) {
    for (let pair = 0; pair < numPairs; pair++) {
      const angle = Math.fround((frequencies[pair] ?? 0) * position);
      const at = (position * numPairs + pair) * 2;
      angles[at] = Math.cos(angle);
      angles[at + 1] = Math.sin(angle);
    }
  }
  return angles;
}

/**
 * Radians a position for each pair, after scaling: f32 [rotaryDim / 2]. Throws a RangeError for a
 * list of divisors that has not one for each pair.
 */
export function ropeFrequencies(rope: RopeConfig): Float32Array<ArrayBuffer> {
  const { theta, rotaryDim, scaling } = rope;
  const numPairs = rotaryDim / 2;
  if (scaling.type === "factors" && scaling.factors.length !== numPairs) {
    throw new RangeError(`Rope has ${scaling.factors.length} factors for ${numPairs} pairs`);
  }
  return Float32Array.from({ length: numPairs }, (_, pair) => {
    const frequency = Math.fround(1 / theta ** (2 * pair / rotaryDim));
    switch (scaling.type) {
      case "none":
        return frequency;
      case "linear":
        return frequency / scaling.factor;
      case "factors":
        return frequency / scaling.factors[pair]!;
      case "llama3":
        return llama3Frequency(frequency, scaling);
      default:
        return scaling satisfies never;
    }
  });
}

/** Llama 3.1's rule: long waves are stretched by `factor`, short ones kept, between them a blend. */
function llama3Frequency(
  frequency: number,
  scaling: Extract<RopeConfig["scaling"], { type: "llama3" }>,
): number {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositions } = scaling;
  const wavelength = 2 * Math.PI / frequency;
  if (wavelength < originalMaxPositions / highFreqFactor) return frequency;
  if (wavelength > originalMaxPositions / lowFreqFactor) return frequency / factor;
  const smooth = (originalMaxPositions / wavelength - lowFreqFactor) /
    (highFreqFactor - lowFreqFactor);
  return (1 - smooth) * frequency / factor + smooth * frequency;
}
