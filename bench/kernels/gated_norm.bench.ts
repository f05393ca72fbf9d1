import { gatedNorm } from "../../src/kernels/gated_norm.ts";
import { valueColumns } from "../../src/kernels/linear_shape.ts";
import type { CasesOf } from "./kernel_case.ts";
import { LINEAR_SHAPE, linearBatches, linearName, linearOperands } from "./linear_case.ts";

/** Decodes and a prefill of one layer. */
export const gatedNormCases: CasesOf = ({ manyTokens }) =>
  linearBatches(manyTokens).map((batch) => {
    const numElements = batch.numSlices * batch.tokensEach * valueColumns(LINEAR_SHAPE);
    return {
      kernel: "gated_norm",
      shape: linearName(batch),
      format: null,
      cost: { bytes: 12 * numElements, flops: 9 * numElements },
      prepare: async (kernels, operands) => [[gatedNorm(kernels, {
        ...await linearOperands(operands, batch),
        weight: await operands.floats(LINEAR_SHAPE.valueDim),
        eps: 1e-6,
        x: await operands.floats(numElements),
      })]],
    };
  });
