/**
 * What the kernels must compute, as plain loops in f64 over the same f32 inputs. Beside each value
 * stands a bound of what f32 arithmetic may add: the unit roundoff times the number of roundings on
 * the way, relative to the sum of the magnitudes that were added. The sampler's reference is
 * tests/kernels/sample_reference.ts.
 *
 * @module
 */
import { BLOCK_SIZE } from "../src/core.ts";

/** Values, and how far an f32 computation may be off. */
export interface Expected {
  readonly values: Float64Array;
  readonly bounds: Float64Array;
}

/** Half a unit in the last place of f32, relative. */
const ROUNDOFF = 2 ** -24;

/** Rows `tokenIds` of `weight` [rows, numCols] times the f32 of `scale`, rounded once. */
export function embedReference(
  weight: Float32Array,
  call: {
    readonly numCols: number;
    readonly tokenIds: ArrayLike<number>;
    readonly scale?: number;
  },
): Float32Array {
  const { numCols, tokenIds } = call;
  const scale = Math.fround(call.scale ?? 1);
  const out = new Float32Array(tokenIds.length * numCols);
  for (let t = 0; t < tokenIds.length; t++) {
    for (let i = 0; i < numCols; i++) {
      out[t * numCols + i] = weight[tokenIds[t]! * numCols + i]! * scale;
    }
  }
  return out;
}

/**
 * x / sqrt(mean(x^2) + eps) * weight (+ residual) over `numGroups` stretches of each row, the rest
 * unchanged.
 */
export function rmsNormReference(
  x: Float32Array,
  call: {
    /** f32 [numCols]: the length of a stretch. */
    readonly weight: Float32Array;
    readonly eps: number;
    readonly stride: number;
    readonly offset?: number;
    readonly numGroups?: number;
    /** Multiplies by 1 + weight. */
    readonly hasUnitOffset?: boolean;
    /** Like x. */
    readonly residual?: Float32Array;
  },
): Expected {
  const { weight, eps, stride, offset = 0, numGroups = 1, hasUnitOffset = false } = call;
  const values = Float64Array.from(x);
  const bounds = new Float64Array(x.length);
  for (let row = 0; row < x.length / stride; row++) {
    for (let group = 0; group < numGroups; group++) {
      const start = row * stride + offset + group * weight.length;
      let squares = 0;
      for (let i = 0; i < weight.length; i++) squares += x[start + i]! ** 2;
      const scale = 1 / Math.sqrt(squares / weight.length + eps);
      for (let i = 0; i < weight.length; i++) {
        const scaled = x[start + i]! * scale;
        const normed = scaled * (hasUnitOffset ? 1 + weight[i]! : weight[i]!);
        const before = call.residual?.[start + i] ?? 0;
        values[start + i] = normed + before;
        // The sum's roundings count half under the root; 10 for the root (2 ulp), mean and products.
        // 1 + weight is rounded relative to itself, the last sum to what it adds.
        bounds[start + i] = (weight.length / 2 + 11) * ROUNDOFF * Math.abs(normed) +
          (call.residual ? ROUNDOFF * (Math.abs(normed) + Math.abs(before)) : 0);
      }
    }
  }
  return { values, bounds };
}

/** Rows `rows` of x [any, numCols], one after the other. */
export function gatherRows(x: Float32Array, numCols: number, rows: ArrayLike<number>) {
  return embedReference(x, { numCols, tokenIds: rows });
}

/** y = W x (+ bias) (+ residual) for each row of x. */
export function projectionReference(
  weight: Float32Array,
  call: {
    readonly numCols: number;
    /** f32 [tokens, numCols]. */
    readonly x: Float32Array;
    readonly bias?: Float32Array | null;
    /** f32 [tokens, rows of W]. */
    readonly residual?: Float32Array | null;
    /** Both factors were rounded to f16, in either direction. */
    readonly isF16?: boolean;
  },
): Expected {
  const { numCols, x, bias, residual, isF16 = false } = call;
  const numRows = weight.length / numCols;
  const numTokens = x.length / numCols;
  const values = new Float64Array(numTokens * numRows);
  const bounds = new Float64Array(numTokens * numRows);
  // 2^-10 for each factor; what is too small for a normal f16 is at most 2^-24 off.
  const relative = (numCols + 4) * ROUNDOFF + (isF16 ? 2 ** -9 * 1.01 : 0);
  const absolute = isF16 ? 2 ** -24 : 0;
  for (let t = 0; t < numTokens; t++) {
    for (let r = 0; r < numRows; r++) {
      let sum = 0;
      let products = 0;
      let factors = 0;
      for (let k = 0; k < numCols; k++) {
        const w = weight[r * numCols + k]!;
        const value = x[t * numCols + k]!;
        sum += w * value;
        products += Math.abs(w * value);
        factors += Math.abs(w) + Math.abs(value);
      }
      const at = t * numRows + r;
      const added = (bias?.[r] ?? 0) + (residual?.[at] ?? 0);
      const addedMagnitude = Math.abs(bias?.[r] ?? 0) + Math.abs(residual?.[at] ?? 0);
      values[at] = sum + added;
      bounds[at] = relative * products + absolute * factors +
        2 * ROUNDOFF * (products + addedMagnitude);
    }
  }
  return { values, bounds };
}

/** Turns `numHeads` heads of each row by position * theta^(-2i / rotaryDim), the rest unchanged. */
export function ropeReference(
  x: Float32Array,
  call: {
    readonly positions: readonly number[];
    readonly stride: number;
    readonly numHeads: number;
    readonly headDim: number;
    readonly rotaryDim: number;
    readonly theta: number;
    readonly isInterleaved: boolean;
  },
): Expected {
  const { positions, stride, numHeads, headDim, rotaryDim, isInterleaved } = call;
  const values = Float64Array.from(x);
  const bounds = new Float64Array(x.length);
  positions.forEach((position, t) => {
    for (let head = 0; head < numHeads; head++) {
      const start = t * stride + head * headDim;
      for (let i = 0; i < rotaryDim / 2; i++) {
        const a = start + (isInterleaved ? 2 * i : i);
        const b = isInterleaved ? a + 1 : a + rotaryDim / 2;
        const angle = position * call.theta ** (-2 * i / rotaryDim);
        const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
        values[a] = x[a]! * cos - x[b]! * sin;
        values[b] = x[b]! * cos + x[a]! * sin;
        // The table's rounding, a product and a sum; the magnitudes are at most |a| + |b|.
        bounds[a] = bounds[b] = 4 * ROUNDOFF * (Math.abs(x[a]!) + Math.abs(x[b]!));
      }
    }
  });
  return { values, bounds };
}

/** Shape of one layer's cache: K and V are each [blocks, numKvHeads, BLOCK_SIZE, headDim]. */
export interface CacheShape {
  readonly numKvHeads: number;
  readonly headDim: number;
}

/** Element where the row of one block, head and slot starts. */
export function cacheRow(
  { numKvHeads, headDim }: CacheShape,
  at: { readonly block: number; readonly kvHead: number; readonly slot: number },
): number {
  return ((at.block * numKvHeads + at.kvHead) * BLOCK_SIZE + at.slot) * headDim;
}

/** Writes each row [numKvHeads * headDim] to its slot (block * BLOCK_SIZE + slot) of `cache`. */
export function kvStoreReference(
  cache: Float32Array,
  call: {
    readonly shape: CacheShape;
    /** f32 [tokens, stride]; K or V starts at `offset`. */
    readonly rows: Float32Array;
    readonly stride: number;
    readonly offset: number;
    readonly slots: readonly number[];
  },
): void {
  const { shape, rows, stride, offset, slots } = call;
  slots.forEach((slot, t) => {
    for (let kvHead = 0; kvHead < shape.numKvHeads; kvHead++) {
      const block = Math.floor(slot / BLOCK_SIZE);
      const to = cacheRow(shape, { block, kvHead, slot: slot % BLOCK_SIZE });
      for (let d = 0; d < shape.headDim; d++) {
        cache[to + d] = rows[t * stride + offset + kvHead * shape.headDim + d]!;
      }
    }
  });
}

/** The pairs of copy_tokens and copy_blocks: from, to. */
type Pairs = readonly (readonly [number, number])[];

/** destination[to] = source[from] of each pair. */
export function copyTokensReference(
  destination: Uint32Array,
  { source, pairs }: { readonly source: Uint32Array; readonly pairs: Pairs },
): void {
  for (const [from, to] of pairs) destination[to] = source[from]!;
}

/** Copies blocks of `cache`, `numBlocks` equal parts, one pair after the other. */
export function copyBlocksReference(
  cache: Uint32Array,
  { numBlocks, pairs }: { readonly numBlocks: number; readonly pairs: Pairs },
): void {
  const blockWords = cache.length / numBlocks;
  for (const [from, to] of pairs) {
    cache.copyWithin(to * blockWords, from * blockWords, (from + 1) * blockWords);
  }
}

/** What attention reads. */
export interface AttentionInputs {
  readonly shape: CacheShape;
  readonly k: Float32Array;
  readonly v: Float32Array;
  /** Blocks of each sequence, in order. */
  readonly blockTables: readonly (readonly number[])[];
  /** f32 [tokens, stride], queries first. */
  readonly qkv: Float32Array;
  readonly stride: number;
  readonly numHeads: number;
  readonly scale: number;
  readonly window: number | null;
  /** f32 [numHeads]: a score of each head without a value. */
  readonly sinks?: Float32Array | undefined;
  readonly tokens: readonly { readonly position: number; readonly sequence: number }[];
}

/** Causal attention of every token over the paged cache: [tokens, numHeads * headDim]. */
export function attentionReference(inputs: AttentionInputs): Expected {
  const { shape, numHeads, tokens } = inputs;
  const width = numHeads * shape.headDim;
  const values = new Float64Array(tokens.length * width);
  const bounds = new Float64Array(tokens.length * width);
  tokens.forEach((_, token) => {
    for (let head = 0; head < numHeads; head++) {
      const at = token * width + head * shape.headDim;
      attendOne(inputs, {
        token,
        head,
        values: values.subarray(at, at + shape.headDim),
        bounds: bounds.subarray(at, at + shape.headDim),
      });
    }
  });
  return { values, bounds };
}

function attendOne(
  inputs: AttentionInputs,
  one: { token: number; head: number; values: Float64Array; bounds: Float64Array },
): void {
  const { shape, qkv, scale } = inputs;
  const { headDim } = shape;
  const { position, sequence } = inputs.tokens[one.token]!;
  const kvHead = Math.floor(one.head * shape.numKvHeads / inputs.numHeads);
  const queryAt = one.token * inputs.stride + one.head * headDim;
  const begin = inputs.window === null ? 0 : Math.max(0, position + 1 - inputs.window);
  const rows: number[] = [];
  const scores: number[] = [];
  let scoreError = 0;
  for (let key = begin; key <= position; key++) {
    const block = inputs.blockTables[sequence]![Math.floor(key / BLOCK_SIZE)]!;
    const row = cacheRow(shape, { block, kvHead, slot: key % BLOCK_SIZE });
    let score = 0;
    let products = 0;
    for (let d = 0; d < headDim; d++) {
      const product = qkv[queryAt + d]! * inputs.k[row + d]! * scale;
      score += product;
      products += Math.abs(product);
    }
    rows.push(row);
    scores.push(score);
    scoreError = Math.max(scoreError, (headDim + 4) * ROUNDOFF * products);
  }
  const sink = inputs.sinks?.[one.head] ?? -Infinity;
  const highest = Math.max(sink, ...scores);
  const weights = scores.map((score) => Math.exp(score - highest));
  const sinkWeight = Math.exp(sink - highest);
  const total = weights.reduce((sum, weight) => sum + weight, sinkWeight);
  // Relative error of a weight: its score's and the maximum's, then WGSL's exp, (3 + 2 |x|) ulp in
  // each of the tiles (32 keys at least) that rescale it, then the additions.
  const numTiles = Math.ceil(rows.length / 32) + 2;
  const errorOf = (score: number) =>
    2 * scoreError + (3 * numTiles + 2 * (highest - score)) * 2 ** -23 +
    (rows.length + 4) * ROUNDOFF;
  const weightErrors = scores.map(errorOf);
  const sinkError = sinkWeight === 0 ? 0 : sinkWeight / total * errorOf(sink);
  for (let d = 0; d < headDim; d++) {
    let sum = 0;
    rows.forEach((row, j) => sum += weights[j]! / total * inputs.v[row + d]!);
    one.values[d] = sum;
    rows.forEach((row, j) => {
      one.bounds[d]! += weights[j]! / total * weightErrors[j]! *
        (Math.abs(inputs.v[row + d]!) + Math.abs(sum));
    });
    one.bounds[d]! += sinkError * Math.abs(sum);
  }
}

/** Heads [fromDim] cut off or with zeros up to [toDim]: exactly. */
export function resizeHeadsReference(
  x: Float32Array,
  { fromDim, toDim }: { readonly fromDim: number; readonly toDim: number },
): Float32Array {
  return Float32Array.from({ length: x.length / fromDim * toDim }, (_, at) => {
    const [head, i] = [Math.floor(at / toDim), at % toDim];
    return i < fromDim ? x[head * fromDim + i]! : 0;
  });
}

/** silu(gate) * up, for rows [gate, up] of `numCols` each. */
export function siluMulReference(gateUp: Float32Array, numCols: number): Expected {
  const values = new Float64Array(gateUp.length / 2);
  const bounds = new Float64Array(values.length);
  values.forEach((_, at) => {
    const row = Math.floor(at / numCols);
    const gate = gateUp[at + row * numCols]!;
    const up = gateUp[at + (row + 1) * numCols]!;
    values[at] = gate / (1 + Math.exp(-gate)) * up;
    // exp may be (3 + 2 |x|) ulp off, a quotient 2.5; f32 ends at 2^-126 and exp(-gate) at 2^128.
    bounds[at] = (2 * Math.abs(gate) + 8) * 2 ** -23 * Math.abs(values[at]!) +
      2 ** -120 * Math.abs(up);
  });
  return { values, bounds };
}

/** gelu(gate) * up in gelu's tanh form, for rows [gate, up] of `numCols` each. */
export function geluMulReference(gateUp: Float32Array, numCols: number): Expected {
  const values = new Float64Array(gateUp.length / 2);
  const bounds = new Float64Array(values.length);
  values.forEach((_, at) => {
    const row = Math.floor(at / numCols);
    const gate = gateUp[at + row * numCols]!;
    const up = gateUp[at + (row + 1) * numCols]!;
    const u = Math.sqrt(2 / Math.PI) * (gate + 0.044715 * gate ** 3);
    // 0.5 (1 + tanh(u)) without the cancellation.
    values[at] = gate / (1 + Math.exp(-2 * u)) * up;
    // exp(-2u) may be (3 + 4 |u|) ulp off and its argument 6 roundings, a quotient 2.5 ulp; where
    // the kernel stops at -10 it is still below 2^-120.
    const factor = Math.min(Math.abs(u), 50);
    bounds[at] = (10 * factor + 8) * 2 ** -23 * Math.abs(values[at]!) +
      2 ** -120 * Math.abs(up) * Math.max(1, Math.abs(gate));
  });
  return { values, bounds };
}

/** cap tanh(x / cap). */
export function softcapReference(logits: Float32Array, cap: number): Expected {
  const values = Float64Array.from(logits, (logit) => cap * Math.tanh(logit / cap));
  // exp may be (3 + 2 |2x|) ulp off, where 2 / (exp(2x) + 1) still counts; the rest is absolute.
  const bounds = values.map(() => 24 * ROUNDOFF * cap);
  return { values, bounds };
}
