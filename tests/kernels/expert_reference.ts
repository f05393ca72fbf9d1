/**
 * What the kernels of experts must compute, as plain loops in f64; see tests/reference.ts.
 *
 * @module
 */
import type { MoeConfig } from "../../src/core.ts";
import type { Expected } from "../reference.ts";

const ROUNDOFF = 2 ** -24;

/** The experts of each token, best first, and their weights. */
export function routeReference(
  logits: Float32Array,
  moe: MoeConfig,
  correctionBias: Float32Array | null,
): { readonly experts: Uint32Array; readonly weights: Expected } {
  const { numExperts, numExpertsPerToken } = moe;
  const numTokens = logits.length / numExperts;
  const experts = new Uint32Array(numTokens * numExpertsPerToken);
  const values = new Float64Array(experts.length);
  const bounds = new Float64Array(experts.length);
  for (let token = 0; token < numTokens; token++) {
    const own = [...logits.subarray(token * numExperts, (token + 1) * numExperts)];
    const scores = scoresOf(own, moe);
    const choices = scores.map((score, i) => score + (correctionBias?.[i] ?? 0));
    const chosen = highest(withinGroups(choices, moe), numExpertsPerToken);
    const weights = weightsOf(chosen.map((expert) => scores[expert]!), moe);
    experts.set(chosen, token * numExpertsPerToken);
    values.set(weights, token * numExpertsPerToken);
    // Of exp (3 + 2 |x|) ulp, twice where weights are divided by a sum, and of that sum's terms.
    const range = own.reduce((most, logit) => Math.max(most, Math.abs(logit)), 0);
    weights.forEach((weight, k) => {
      bounds[token * numExpertsPerToken + k] = Math.abs(weight) * ROUNDOFF *
        (4 * (8 + 4 * range) + 2 * numExperts);
    });
  }
  return { experts, weights: { values, bounds } };
}

function scoresOf(logits: readonly number[], { scoring }: MoeConfig): number[] {
  if (scoring === "sigmoid") return logits.map((logit) => 1 / (1 + Math.exp(-logit)));
  return scoring === "softmax" ? softmax(logits) : [...logits];
}

function weightsOf(scores: readonly number[], moe: MoeConfig): number[] {
  const weights = moe.scoring === "softmax-of-chosen" ? softmax(scores) : scores;
  const isDivided = moe.isNormalised && moe.scoring !== "softmax-of-chosen";
  const total = weights.reduce((sum, weight) => sum + weight, moe.normEpsilon);
  return weights.map((weight) => weight / (isDivided ? total : 1) * moe.scale);
}

function withinGroups(choices: readonly number[], { groups }: MoeConfig): number[] {
  if (groups === null) return [...choices];
  const size = choices.length / groups.numGroups;
  const worths = Array.from({ length: groups.numGroups }, (_, group) => {
    const [best = 0, second = 0] = choices.slice(group * size, (group + 1) * size)
      .toSorted((a, b) => b - a);
    return groups.score === "max" ? best : best + second;
  });
  const chosen = highest(worths, groups.numChosen);
  return choices.map((choice, i) => chosen.includes(Math.floor(i / size)) ? choice : -Infinity);
}

/** Indices of the highest values, best first; the lower of equal ones first. */
function highest(values: readonly number[], count: number): number[] {
  return values.map((_, i) => i).toSorted((a, b) => values[b]! - values[a]! || a - b)
    .slice(0, count);
}

function softmax(values: readonly number[]): number[] {
  const most = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - most));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

/** Experts' matrices and the tokens that chose them. */
export interface ExpertInputs {
  readonly moe: MoeConfig;
  readonly numCols: number;
  /** f32 [experts, rows of one, numCols]. */
  readonly weight: Float32Array;
  /** f32 [experts, rows of one]. */
  readonly bias: Float32Array | null;
  /** u32 [tokens, experts of each]. */
  readonly experts: Uint32Array;
}

/** The activation of gate and up: [tokens, experts of each, expertSize]; x is [tokens, numCols]. */
export function expertGateUpReference(inputs: ExpertInputs, x: Float32Array): Expected {
  const { moe: { expertSize, activation, numExpertsPerToken }, experts } = inputs;
  const isInterleaved = activation.type === "clamped-swiglu" && activation.isInterleaved;
  const values = new Float64Array(experts.length * expertSize);
  const bounds = new Float64Array(values.length);
  experts.forEach((expert, pair) => {
    const at = { expert, numRows: 2 * expertSize, input: Math.floor(pair / numExpertsPerToken) };
    for (let i = 0; i < expertSize; i++) {
      const gate = rowOf(inputs, x, { ...at, row: isInterleaved ? 2 * i : i });
      const up = rowOf(inputs, x, { ...at, row: isInterleaved ? 2 * i + 1 : expertSize + i });
      const activated = activate(gate.value, up.value, activation);
      values[pair * expertSize + i] = activated.value;
      bounds[pair * expertSize + i] = activated.slope * (gate.bound + up.bound) +
        (2 * Math.abs(gate.value) * activated.steepness + 10) * 2 ** -23 *
          Math.abs(activated.value) +
        2 ** -120;
    }
  });
  return { values, bounds };
}

/** The value, and what an error of either input can become at most. */
function activate(gate: number, up: number, activation: MoeConfig["activation"]) {
  if (activation.type === "silu") {
    const value = gate / (1 + Math.exp(-gate)) * up;
    return { value, slope: 1.1 * (Math.abs(up) + Math.abs(gate)), steepness: 1 };
  }
  const { limit, alpha } = activation;
  const g = Math.min(gate, limit);
  const u = Math.min(Math.max(up, -limit), limit) + 1;
  const value = u * g / (1 + Math.exp(-alpha * g));
  return { value, slope: 1.1 * (1 + alpha) * (Math.abs(u) + Math.abs(g)), steepness: alpha };
}

/** residual + sum of weight * (W x (+ bias)): [tokens, rows of an expert]; x is [pairs, numCols]. */
export function expertDownReference(
  inputs: ExpertInputs,
  { x, weights, residual }: {
    readonly x: Float32Array;
    readonly weights: Float32Array;
    readonly residual: Float32Array;
  },
): Expected {
  const { moe: { numExpertsPerToken: perToken }, experts } = inputs;
  const numRows = residual.length / (experts.length / perToken);
  const values = Float64Array.from(residual);
  const bounds = values.map((value) => 4 * perToken * ROUNDOFF * Math.abs(value));
  experts.forEach((expert, pair) => {
    for (let row = 0; row < numRows; row++) {
      const at = Math.floor(pair / perToken) * numRows + row;
      const { value, magnitude, bound } = rowOf(inputs, x, { expert, numRows, input: pair, row });
      values[at]! += weights[pair]! * value;
      bounds[at]! += Math.abs(weights[pair]!) * (bound + 4 * perToken * ROUNDOFF * magnitude);
    }
  });
  return { values, bounds };
}

/** One row of an expert times one input. */
function rowOf(
  { weight, bias, numCols }: ExpertInputs,
  x: Float32Array,
  at: {
    readonly expert: number;
    readonly numRows: number;
    readonly row: number;
    readonly input: number;
  },
) {
  const row = at.expert * at.numRows + at.row;
  let value = bias?.[row] ?? 0;
  let magnitude = Math.abs(value);
  for (let k = 0; k < numCols; k++) {
    const product = weight[row * numCols + k]! * x[at.input * numCols + k]!;
    value += product;
    magnitude += Math.abs(product);
  }
  return { value, magnitude, bound: (numCols + 6) * ROUNDOFF * magnitude };
}

/** residual + sum of weight * x over a token's `perToken` rows. */
export function combineExpertsReference(
  residual: Float32Array,
  { x, weights, perToken }: {
    readonly x: Float32Array;
    readonly weights: Float32Array;
    readonly perToken: number;
  },
): Expected {
  const numCols = x.length / weights.length;
  const values = Float64Array.from(residual);
  const bounds = values.map((value) => (perToken + 2) * ROUNDOFF * Math.abs(value));
  weights.forEach((weight, pair) => {
    for (let i = 0; i < numCols; i++) {
      const at = Math.floor(pair / perToken) * numCols + i;
      const term = weight * x[pair * numCols + i]!;
      values[at]! += term;
      bounds[at]! += (perToken + 3) * ROUNDOFF * Math.abs(term);
    }
  });
  return { values, bounds };
}
