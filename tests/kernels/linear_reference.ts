/**
 * What the kernels of linear attention must compute, as plain loops in f64; see tests/reference.ts
 * for the bounds.
 *
 * @module
 */
import type { LinearShape } from "../../src/core.ts";
import type { Expected } from "../reference.ts";

const ROUNDOFF = 2 ** -24;

/** The tokens of one sequence in a batch, and the f32 state that they start from, null at position 0. */
export interface LinearSlice {
  readonly firstRow: number;
  readonly numTokens: number;
  readonly state: Float32Array | null;
}

/** Values, and the states after each slice, both with bounds. */
export interface ExpectedStates {
  readonly out: Expected;
  readonly states: readonly Expected[];
}

const silu = (x: number) => x / (1 + Math.exp(-x));

function emptyOf(length: number): { values: Float64Array; bounds: Float64Array } {
  return { values: new Float64Array(length), bounds: new Float64Array(length) };
}

/** Column of a projected row [key heads, (query, key, values, gates)] for a channel q, k, v. */
export function projectedColumn(shape: LinearShape, channel: number): number {
  const { numKeyHeads, numValueHeads, keyDim, valueDim } = shape;
  const keySize = numKeyHeads * keyDim;
  const groupValues = numValueHeads / numKeyHeads * valueDim;
  const group = 2 * keyDim + 2 * groupValues;
  if (channel < 2 * keySize) {
    const isKey = channel >= keySize;
    const at = channel - (isKey ? keySize : 0);
    return Math.floor(at / keyDim) * group + (isKey ? keyDim : 0) + at % keyDim;
  }
  const at = channel - 2 * keySize;
  return Math.floor(at / groupValues) * group + 2 * keyDim + at % groupValues;
}

/** silu(sum of weight [channels, kernel] * last inputs); states are [kernel - 1, channels]. */
export function causalConvReference(
  shape: LinearShape,
  call: {
    readonly projected: Float32Array;
    readonly numTokens: number;
    readonly weight: Float32Array;
    readonly slices: readonly LinearSlice[];
  },
): { out: Expected; states: Float32Array[] } {
  const { convKernel: kernel } = shape;
  const numChannels = call.weight.length / kernel;
  const stride = call.projected.length / call.numTokens;
  const out = emptyOf(call.numTokens * numChannels);
  const states = call.slices.map(({ firstRow, numTokens, state }) => {
    const after = new Float32Array((kernel - 1) * numChannels);
    for (let channel = 0; channel < numChannels; channel++) {
      const inputs: number[] = [];
      for (let i = 0; i < kernel - 1; i++) inputs.push(state?.[i * numChannels + channel] ?? 0);
      const column = projectedColumn(shape, channel);
      for (let t = firstRow; t < firstRow + numTokens; t++) {
        inputs.push(call.projected[t * stride + column]!);
        let sum = 0;
        let products = 0;
        for (let i = 0; i < kernel; i++) {
          const product = call.weight[channel * kernel + i]! * inputs[inputs.length - kernel + i]!;
          sum += product;
          products += Math.abs(product);
        }
        const at = t * numChannels + channel;
        out.values[at] = silu(sum);
        // The slope of silu is below 1.1; exp may be (3 + 2 |x|) ulp off.
        out.bounds[at] = 1.1 * (kernel + 1) * ROUNDOFF * products +
          (2 * Math.abs(sum) + 8) * 2 ** -23 * Math.abs(silu(sum)) + 1e-30;
      }
      inputs.slice(-(kernel - 1)).forEach((input, i) => after[i * numChannels + channel] = input);
    }
    return after;
  });
  return { out, states };
}

/** Unit queries (times keyDim^-0.5) and keys; gates (decay, rate, key * query) of each value head. */
export function deltaInputsReference(
  shape: LinearShape,
  call: {
    readonly mixed: Float32Array;
    readonly rates: Float32Array;
    readonly aLog: Float32Array;
    readonly dtBias: Float32Array;
    readonly numTokens: number;
  },
): { mixed: Expected; gates: Expected } {
  const { numKeyHeads, numValueHeads, keyDim } = shape;
  const stride = call.mixed.length / call.numTokens;
  const perKey = numValueHeads / numKeyHeads;
  const mixed = {
    values: Float64Array.from(call.mixed),
    bounds: new Float64Array(call.mixed.length),
  };
  const gates = emptyOf(4 * call.numTokens * numValueHeads);
  for (let t = 0; t < call.numTokens; t++) {
    for (let head = 0; head < numKeyHeads; head++) {
      for (const [offset, scale] of [[0, keyDim ** -0.5], [numKeyHeads * keyDim, 1]] as const) {
        const start = t * stride + offset + head * keyDim;
        let squares = 0;
        for (let i = 0; i < keyDim; i++) squares += call.mixed[start + i]! ** 2;
        for (let i = start; i < start + keyDim; i++) {
          mixed.values[i] = call.mixed[i]! / Math.sqrt(squares + 1e-6) * scale;
          mixed.bounds[i] = (keyDim / 2 + 10) * ROUNDOFF * Math.abs(mixed.values[i]!);
        }
      }
    }
    for (let head = 0; head < numValueHeads; head++) {
      const key = Math.floor(head / perKey);
      const pair = (t * numKeyHeads + key) * 2 * perKey + head % perKey;
      const query = t * stride + key * keyDim;
      let product = 0;
      let products = 0;
      for (let i = query; i < query + keyDim; i++) {
        const term = mixed.values[i]! * mixed.values[i + numKeyHeads * keyDim]!;
        product += term;
        products += Math.abs(term);
      }
      const a = call.rates[pair + perKey]! + call.dtBias[head]!;
      const slope = Math.exp(call.aLog[head]!);
      const soft = Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a)));
      const decay = Math.exp(-slope * soft);
      const rate = 1 / (1 + Math.exp(-call.rates[pair]!));
      const at = 4 * (t * numValueHeads + head);
      gates.values.set([decay, rate, product, 0], at);
      // WGSL: log within 2^-21 between 0.5 and 2, exp within (3 + 2 |x|) ulp.
      const softError = Math.min(2 ** -21, soft * 2 ** -20) + 4 * ROUNDOFF * Math.abs(a) +
        (8 + 2 * Math.abs(a)) * 2 ** -23 * Math.min(1, soft);
      const exponentError = slope * softError +
        slope * soft * (8 + 2 * Math.abs(call.aLog[head]!)) * 2 ** -23;
      gates.bounds.set([
        decay * (exponentError + (4 + 2 * slope * soft) * 2 ** -23) + 2 ** -120,
        rate * (2 * Math.abs(call.rates[pair]!) + 8) * 2 ** -23,
        (2 * keyDim + 20) * ROUNDOFF * products,
        0,
      ], at);
    }
  }
  return { mixed, gates };
}

/** S = decay * S + k (rate * (v - decay * S^T k))^T; out = S^T q. States are [heads, keyDim, valueDim]. */
export function deltaRuleReference(
  shape: LinearShape,
  call: {
    readonly mixed: Float32Array;
    /** decay, rate, not read, not read. */
    readonly gates: Float32Array;
    readonly numTokens: number;
    readonly slices: readonly LinearSlice[];
  },
): ExpectedStates {
  const { numKeyHeads, numValueHeads, keyDim, valueDim } = shape;
  const { mixed, gates } = call;
  const stride = mixed.length / call.numTokens;
  const keySize = numKeyHeads * keyDim;
  const out = emptyOf(call.numTokens * numValueHeads * valueDim);
  const states = call.slices.map((slice) => {
    const state = slice.state === null
      ? new Float64Array(numValueHeads * keyDim * valueDim)
      : Float64Array.from(slice.state);
    const errors = new Float64Array(state.length);
    for (let head = 0; head < numValueHeads; head++) {
      for (let column = 0; column < valueDim; column++) {
        const cell = (i: number) => (head * keyDim + i) * valueDim + column;
        let largest = 0;
        for (let i = 0; i < keyDim; i++) largest += Math.abs(state[cell(i)]!);
        for (let t = slice.firstRow; t < slice.firstRow + slice.numTokens; t++) {
          const query = t * stride + Math.floor(head * numKeyHeads / numValueHeads) * keyDim;
          const [decay, rate] = gates.subarray(4 * (t * numValueHeads + head));
          const value = mixed[t * stride + 2 * keySize + head * valueDim + column]!;
          let seen = 0;
          for (let i = 0; i < keyDim; i++) {
            state[cell(i)]! *= decay!;
            seen += state[cell(i)]! * mixed[query + keySize + i]!;
          }
          let result = 0;
          for (let i = 0; i < keyDim; i++) {
            state[cell(i)]! += mixed[query + keySize + i]! * rate! * (value - seen);
            result += state[cell(i)]! * mixed[query + i]!;
          }
          largest += Math.abs(value);
          // A step with a unit key does not enlarge what is off; it adds its own roundings.
          const error = (t - slice.firstRow + 1) * (keyDim + 20) * ROUNDOFF * largest;
          const at = (t * numValueHeads + head) * valueDim + column;
          out.values[at] = result;
          out.bounds[at] = error;
          for (let i = 0; i < keyDim; i++) errors[cell(i)] = error;
        }
      }
    }
    return { values: state, bounds: errors };
  });
  return { out, states };
}

/**
 * Of rows [firstRow, firstRow + numRows) and a value head, as chunks of the delta rule want them:
 * solve and mix [numRows, numRows], decays up to each row and from it to the last.
 */
export function deltaSolveReference(
  shape: LinearShape,
  call: {
    readonly mixed: Float32Array;
    /** decay, rate, not read, not read. */
    readonly gates: Float32Array;
    readonly stride: number;
    readonly firstRow: number;
    readonly numRows: number;
    readonly head: number;
  },
): { solve: Expected; mix: Expected; start: Float64Array; end: Float64Array } {
  const { numKeyHeads, numValueHeads, keyDim } = shape;
  const { mixed, gates, stride, firstRow, numRows, head } = call;
  const keySize = numKeyHeads * keyDim;
  const at = (row: number) =>
    (firstRow + row) * stride + Math.floor(head * numKeyHeads / numValueHeads) * keyDim;
  const gate = (row: number) => gates.subarray(4 * ((firstRow + row) * numValueHeads + head));
  const dot = (a: number, b: number) => {
    let sum = 0;
    for (let i = 0; i < keyDim; i++) sum += mixed[a + i]! * mixed[b + i]!;
    return sum;
  };
  const decayOf = (from: number, to: number) => {
    let decay = 1;
    for (let row = from; row <= to; row++) decay *= gate(row)[0]!;
    return decay;
  };
  // Of products of unit vectors.
  const error = (keyDim + 2 * numRows + 8) * ROUNDOFF;
  const mix = emptyOf(numRows ** 2);
  const inverse = new Float64Array(numRows ** 2);
  const solve = emptyOf(numRows ** 2);
  for (let i = 0; i < numRows; i++) {
    for (let j = 0; j <= i; j++) {
      mix.values[i * numRows + j] = decayOf(j + 1, i) * dot(at(i), at(j) + keySize);
      mix.bounds[i * numRows + j] = error * decayOf(j + 1, i) + 2 ** -120;
      let sum = i === j ? 1 : 0;
      for (let m = j; m < i; m++) {
        const overlap = decayOf(m + 1, i) * dot(at(i) + keySize, at(m) + keySize);
        sum -= gate(i)[1]! * overlap * inverse[m * numRows + j]!;
      }
      inverse[i * numRows + j] = sum;
    }
  }
  // What is off by E in a matrix is off by inverse * E * inverse in its inverse.
  for (let j = 0; j < numRows; j++) {
    let above = 0;
    for (let i = j; i < numRows; i++) {
      let left = 0;
      for (let m = j; m <= i; m++) left += Math.abs(inverse[i * numRows + m]!);
      solve.values[i * numRows + j] = inverse[i * numRows + j]! * gate(j)[1]!;
      above += Math.abs(inverse[i * numRows + j]!);
      solve.bounds[i * numRows + j] = error * left * above + 2 ** -120;
    }
  }
  const rows = Array.from({ length: numRows }, (_, row) => row);
  return {
    solve,
    mix,
    start: Float64Array.from(rows, (row) => decayOf(0, row)),
    end: Float64Array.from(rows, (row) => decayOf(row + 1, numRows - 1)),
  };
}

/** norm(x) * weight * silu(gate) of each value head; gates lie in the projected rows. */
export function gatedNormReference(
  shape: LinearShape,
  call: {
    readonly x: Float32Array;
    readonly projected: Float32Array;
    readonly weight: Float32Array;
    readonly eps: number;
    readonly numTokens: number;
  },
): Expected {
  const { numKeyHeads, numValueHeads, keyDim, valueDim } = shape;
  const stride = call.projected.length / call.numTokens;
  const result = emptyOf(call.x.length);
  const valuesAt = 2 * numKeyHeads * keyDim;
  for (let head = 0; head < call.numTokens * numValueHeads; head++) {
    const t = Math.floor(head / numValueHeads);
    // A head's gates lie as far behind its values as all values of a key head.
    const gate = t * stride + numValueHeads / numKeyHeads * valueDim +
      projectedColumn(shape, valuesAt + head % numValueHeads * valueDim);
    let squares = 0;
    for (let i = 0; i < valueDim; i++) squares += call.x[head * valueDim + i]! ** 2;
    const scale = 1 / Math.sqrt(squares / valueDim + call.eps);
    for (let i = 0; i < valueDim; i++) {
      const z = call.projected[gate + i]!;
      const at = head * valueDim + i;
      result.values[at] = call.x[at]! * scale * call.weight[i]! * silu(z);
      result.bounds[at] = Math.abs(result.values[at]!) *
        ((valueDim / 2 + 12) * ROUNDOFF + (2 * Math.abs(z) + 8) * 2 ** -23);
    }
  }
  return result;
}

/** Rows without the gate beside each query head: exactly. */
export function splitGateReference(
  x: Float32Array,
  call: { readonly numHeads: number; readonly headDim: number; readonly numOthers: number },
): Float32Array {
  const { numHeads, headDim, numOthers } = call;
  const stride = 2 * numHeads * headDim + numOthers;
  const kept: number[] = [];
  for (let row = 0; row < x.length; row += stride) {
    for (let head = 0; head < numHeads; head++) {
      for (let i = 0; i < headDim; i++) kept.push(x[row + 2 * head * headDim + i]!);
    }
    for (let i = stride - numOthers; i < stride; i++) kept.push(x[row + i]!);
  }
  return Float32Array.from(kept);
}

/** y * sigmoid(gate): gates stand behind each query head of x [tokens, stride]. */
export function gateHeadsReference(
  y: Float32Array,
  call: {
    readonly x: Float32Array;
    readonly stride: number;
    readonly numHeads: number;
    readonly headDim: number;
  },
): Expected {
  const { x, stride, numHeads, headDim } = call;
  const result = emptyOf(y.length);
  result.values.forEach((_, at) => {
    const head = Math.floor(at / headDim);
    const gate = x[
      Math.floor(head / numHeads) * stride + (2 * (head % numHeads) + 1) * headDim +
      at % headDim
    ]!;
    result.values[at] = y[at]! / (1 + Math.exp(-gate));
    result.bounds[at] = (2 * Math.abs(gate) + 8) * 2 ** -23 * Math.abs(result.values[at]!) +
      2 ** -120;
  });
  return result;
}
