import source from "../../shaders/attention_prefill.wgsl" with { type: "text" };
import type { Dispatch } from "../gpu/dispatch.ts";
import { type AttentionCall, attentionConstants } from "./attention_call.ts";
import type { KernelContext } from "./context.ts";

/** Query tokens of a tile; heads over 128 wide take half as many, to fit 16 KiB. */
export function queryTileRows(headDim: number): number {
  return headDim > 128 ? 8 : 16;
}

/** Attention of runs of tokens: `tiles` vec4u [numTiles] of first row, rows, position, sequence. */
export function attentionPrefill(
  kernels: KernelContext,
  call: AttentionCall & { readonly tiles: GPUBuffer; readonly numTiles: number },
): Dispatch {
  const { cache } = call;
  return {
    program: kernels.programs.get({ name: "attention_prefill", source }, {
      ...attentionConstants(call),
      Q_ROWS: queryTileRows(cache.headDim),
    }),
    bindings: [
      kernels.step,
      call.tiles,
      call.blockTables,
      call.qkv,
      cache.k,
      cache.v,
      call.out,
      ...(call.sinks ? [call.sinks] : []),
    ],
    workgroups: [call.numHeads, call.numTiles, 1],
  };
}
