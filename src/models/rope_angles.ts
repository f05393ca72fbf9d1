import type { ModelConfig, RopeConfig } from "../core.ts";

type Yarn = Extract<RopeConfig["scaling"], { type: "yarn" }>;

/** The rope of a layer: layers with a window may have one of their own. */
export function ropeOfLayer(
  config: Pick<ModelConfig, "rope" | "slidingRope" | "slidingWindows">,
  layer: number,
): RopeConfig {
  const slides = (config.slidingWindows[layer] ?? null) !== null;
  return slides ? config.slidingRope ?? config.rope : config.rope;
}

/**
 * (cos, sin) of every position and pair, times yarn's attention factor:
 * f32 [numPositions, rotaryDim / 2, 2]. Frequencies and angles are rounded to f32 where Hugging
 * Face's float32 model rounds them.
 */
export function ropeAngles(rope: RopeConfig, numPositions: number): Float32Array<ArrayBuffer> {
  const frequencies = ropeFrequencies(rope);
  const numPairs = frequencies.length;
  const magnitude = rope.scaling.type === "yarn" ? rope.scaling.attentionFactor : 1;
  const angles = new Float32Array(numPositions * numPairs * 2);
  for (let position = 0; position < numPositions; position++) {
    for (let pair = 0; pair < numPairs; pair++) {
      const angle = Math.fround((frequencies[pair] ?? 0) * position);
      const at = (position * numPairs + pair) * 2;
      angles[at] = Math.fround(Math.cos(angle)) * magnitude;
      angles[at + 1] = Math.fround(Math.sin(angle)) * magnitude;
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
  const ramp = scaling.type === "yarn" ? yarnRamp(rope, scaling) : null;
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
      case "yarn": {
        const kept = Math.fround(1 - ramp!(pair));
        return frequency / scaling.factor * (1 - kept) + frequency * kept;
      }
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

/**
 * Yarn's temperature for a stretch by `factor`: 0.1 mscale ln(factor) + 1. DeepSeek multiplies its
 * scores by the square of that of `mscaleAllDim`.
 */
export function yarnMscale(factor: number, mscale = 1): number {
  return factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1;
}

/** How much of each pair's wave is stretched: 0 up to `betaFast` turns, 1 from `betaSlow` on. */
function yarnRamp({ theta, rotaryDim }: RopeConfig, scaling: Yarn): (pair: number) => number {
  const { originalMaxPositions, isTruncated } = scaling;
  const pairOf = (turns: number) =>
    rotaryDim * Math.log(originalMaxPositions / (turns * 2 * Math.PI)) / (2 * Math.log(theta));
  const [first, last] = [pairOf(scaling.betaFast), pairOf(scaling.betaSlow)];
  const low = Math.max(isTruncated ? Math.floor(first) : first, 0);
  const high = Math.min(isTruncated ? Math.ceil(last) : last, rotaryDim - 1);
  const width = high === low ? 0.001 : high - low;
  return (pair) => {
    const ramp = Math.fround(pair - Math.fround(low)) / Math.fround(width);
    return Math.fround(Math.min(1, Math.max(0, ramp)));
  };
}
