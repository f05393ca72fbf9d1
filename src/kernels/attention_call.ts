import type { Constants } from "../gpu/preprocess.ts";
import { f32Literal } from "../gpu/f32_literal.ts";
import { type KvCache, kvConstants } from "./kv_cache.ts";

/** Operands that both attention kernels share. */
export interface AttentionCall {
  readonly cache: KvCache;
  /** u32 [sequences, maxBlocks]. */
  readonly blockTables: GPUBuffer;
  readonly maxBlocks: number;
  /** f32 [numTokens, stride]; the queries come first in each row. */
  readonly qkv: GPUBuffer;
  readonly stride: number;
  /** f32 [numTokens, numHeads * headDim]. */
  readonly out: GPUBuffer;
  readonly numHeads: number;
  /** Factor of the scores, usually 1 / sqrt(headDim). */
  readonly scale: number;
  /** Latest positions that a query sees, its own included; null sees all. */
  readonly window: number | null;
  /** f32 [numHeads]: a score of each head that joins its softmax without a value. */
  readonly sinks?: GPUBuffer | null;
}

/** The constants that both kernels share. */
export function attentionConstants(call: AttentionCall): Constants {
  return {
    ...kvConstants(call.cache),
    NUM_HEADS: call.numHeads,
    MAX_BLOCKS: call.maxBlocks,
    STRIDE: call.stride,
    SCALE: f32Literal(call.scale),
    WINDOWED: call.window !== null,
    WINDOW: call.window ?? 0,
    HAS_SINKS: (call.sinks ?? null) !== null,
  };
}
