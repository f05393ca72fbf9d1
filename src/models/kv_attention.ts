/**
 * Attention to the cached K and V of a layer, for heads of any size: those that are no multiple of 4
 * go through copies whose heads are as long as the cache's.
 *
 * @module
 */
import type { ModelConfig } from "../core.ts";
import type { Dispatch } from "../gpu/dispatch.ts";
import type { AttentionCall } from "../kernels/attention_call.ts";
import { attentionDecode } from "../kernels/attention_decode.ts";
import { attentionPrefill } from "../kernels/attention_prefill.ts";
import type { KvCache } from "../kernels/kv_cache.ts";
import { kvStore } from "../kernels/kv_store.ts";
import { resizeHeads } from "../kernels/resize_heads.ts";
import { type LayerRun, operand } from "./architecture.ts";
import { paddedHeadDim } from "./layer_memory.ts";

/** Widths of the copies; none where heads need none. */
export function paddedScratch(
  { numHeads, numKvHeads, headDim }: ModelConfig,
): Record<string, number> {
  const dim = paddedHeadDim(headDim);
  if (dim === headDim) return {};
  return { paddedQkv: (numHeads + 2 * numKvHeads) * dim, paddedAttended: numHeads * dim };
}

/** K and V of the rows of `qkv` to the cache, and what the queries see there to `attended`. */
export function storeAndAttend(
  run: LayerRun,
  { cache, qkv, stride, attended }: {
    readonly cache: KvCache;
    readonly qkv: GPUBuffer;
    readonly stride: number;
    readonly attended: GPUBuffer;
  },
): Dispatch[] {
  const { kernels, config, batch, shape: { numTokens } } = run;
  const { numHeads, numKvHeads, headDim } = config;
  const call = {
    cache,
    blockTables: batch.blockTables,
    maxBlocks: batch.maxBlocks,
    numHeads,
    scale: config.attentionScale,
    window: config.slidingWindows[run.layer] ?? null,
    sinks: run.weights.vectors["sinks"] ?? null,
  };
  const store = { cache, tokenRows: batch.tokenRows, numTokens };
  const dim = cache.headDim;
  if (dim === headDim) {
    return [
      kvStore(kernels, { ...store, qkv, stride, keyOffset: numHeads * dim }),
      ...attention(run, { ...call, qkv, stride, out: attended }),
    ];
  }
  const heads = numHeads + 2 * numKvHeads;
  const padded = operand(run.scratch, "paddedQkv");
  const out = operand(run.scratch, "paddedAttended");
  const [toCache, fromCache] = [
    { x: qkv, y: padded, numHeads: heads, fromDim: headDim, toDim: dim, numTokens },
    { x: out, y: attended, numHeads, fromDim: dim, toDim: headDim, numTokens },
  ];
  return [
    resizeHeads(kernels, toCache),
    kvStore(kernels, { ...store, qkv: padded, stride: heads * dim, keyOffset: numHeads * dim }),
    ...attention(run, { ...call, qkv: padded, stride: heads * dim, out }),
    resizeHeads(kernels, fromCache),
  ];
}

/** Single tokens and runs of tokens each have their kernel; a batch may hold both. */
function attention(run: LayerRun, call: AttentionCall): Dispatch[] {
  const { kernels, batch, shape } = run;
  return [
    ...(shape.numDecodeRows > 0
      ? [attentionDecode(kernels, {
        ...call,
        tokenRows: batch.tokenRows,
        decodeRows: batch.decodeRows,
        numRows: shape.numDecodeRows,
      })]
      : []),
    ...(shape.numTiles > 0
      ? [attentionPrefill(kernels, { ...call, tiles: batch.tiles, numTiles: shape.numTiles })]
      : []),
  ];
}
