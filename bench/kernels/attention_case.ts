import type { Dispatch } from "../../src/gpu/dispatch.ts";
import type { AttentionCall } from "../../src/kernels/attention_call.ts";
import type { KernelContext } from "../../src/kernels/context.ts";
import { attentionCost } from "../cost.ts";
import type { BatchShape, BatchTables } from "../operands.ts";
import type { CaseScale, KernelCase } from "./kernel_case.ts";

/** Attention of a batch, by whichever kernel `dispatch` calls. */
export function attentionCase(
  { kernel, shape, tileRows }: {
    readonly kernel: string;
    readonly shape: BatchShape;
    /** Query tokens that share one read of K and V; 0 for attention_decode. */
    readonly tileRows: number;
  },
  { config, isF16Kv }: CaseScale,
  dispatch: (kernels: KernelContext, call: AttentionCall, tables: BatchTables) => Dispatch,
): KernelCase {
  const { numHeads, numKvHeads, headDim } = config;
  const { numSequences, newTokens, length } = shape;
  const numQueries = numSequences * newTokens;
  return {
    kernel,
    shape:
      `${numSequences} x ${newTokens} of ${length}, ${numHeads}/${numKvHeads} heads of ${headDim}`,
    format: null,
    cost: attentionCost({
      numQueries,
      // A token sees all before it: the mean over the new ones.
      numSeen: length - (newTokens - 1) / 2,
      queriesPerRead: Math.max(1, tileRows),
      ...{ numHeads, numKvHeads, headDim },
      isF16: isF16Kv,
    }),
    prepare: async (kernels, operands) => {
      const tables = await operands.batch(shape, { tileRows });
      const stride = (numHeads + 2 * numKvHeads) * headDim;
      const { blockTables, maxBlocks } = tables;
      const call = {
        cache: await operands.kvCache(config, numSequences * maxBlocks),
        blockTables,
        maxBlocks,
        qkv: await operands.floats(numQueries * stride),
        stride,
        out: await operands.empty(numQueries * numHeads * headDim * 4),
        numHeads,
        scale: 1 / Math.sqrt(headDim),
        window: null,
      };
      return [[dispatch(kernels, call, tables)]];
    },
  };
}
