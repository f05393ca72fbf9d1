import source from "../../shaders/attention_decode.wgsl" with { type: "text" };
import type { Dispatch } from "../gpu/dispatch.ts";
import { type AttentionCall, attentionConstants } from "./attention_call.ts";
import type { KernelContext } from "./context.ts";

/** Elements of queries that fit a workgroup's memory: 8 KiB of f32. */
const MAX_QUERY_ELEMENTS = 2048;

/** Heads whose scores fit beside them in the 16 KiB that every device has. */
const MAX_HEADS = 16;

/** Attention of single tokens: the rows `decodeRows` u32 [numRows] of the batch. */
export function attentionDecode(
  kernels: KernelContext,
  call: AttentionCall & {
    /** TokenRow [numTokens]. */
    readonly tokenRows: GPUBuffer;
    readonly decodeRows: GPUBuffer;
    readonly numRows: number;
  },
): Dispatch {
  const { cache } = call;
  const groupSize = call.numHeads / cache.numKvHeads;
  const heads = largestDivisor(
    groupSize,
    Math.min(MAX_HEADS, Math.floor(MAX_QUERY_ELEMENTS / cache.headDim)),
  );
  return {
    program: kernels.programs.get({ name: "attention_decode", source }, {
      ...attentionConstants(call),
      HEADS: heads,
    }),
    bindings: [
      kernels.step,
      call.decodeRows,
      call.tokenRows,
      call.blockTables,
      call.qkv,
      cache.k,
      cache.v,
      call.out,
      ...(call.sinks ? [call.sinks] : []),
    ],
    workgroups: [call.numHeads / heads, call.numRows, 1],
  };
}

function largestDivisor(value: number, limit: number): number {
  for (let divisor = Math.min(value, Math.max(1, limit)); divisor > 1; divisor--) {
    if (value % divisor === 0) return divisor;
  }
  return 1;
}
