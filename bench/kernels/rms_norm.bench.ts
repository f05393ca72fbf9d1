import { headNorm, rmsNorm } from "../../src/kernels/rms_norm.ts";
import { normCost } from "../cost.ts";
import type { CasesOf, KernelCase } from "./kernel_case.ts";

/** Norms of hidden states, and of query heads in place. */
export const rmsNormCases: CasesOf = ({ config, manyTokens }) => {
  const { hiddenSize, numHeads, headDim, rmsNormEps: eps } = config;
  const rows = (numRows: number): KernelCase => ({
    kernel: "rms_norm",
    shape: `${numRows} x ${hiddenSize}`,
    format: null,
    cost: normCost(numRows * hiddenSize),
    prepare: async (kernels, operands) => {
      operands.step({ numTokens: numRows, numSamples: 0 });
      return [[rmsNorm(kernels, {
        weight: await operands.floats(hiddenSize),
        eps,
        x: await operands.floats(numRows * hiddenSize),
        y: await operands.empty(numRows * hiddenSize * 4),
        numCols: hiddenSize,
        numRows,
      })]];
    },
  });
  const heads = (numRows: number): KernelCase => ({
    kernel: "rms_norm",
    shape: `${numRows} x ${numHeads} heads of ${headDim}`,
    format: null,
    cost: normCost(numRows * numHeads * headDim),
    prepare: async (kernels, operands) => {
      operands.step({ numTokens: numRows, numSamples: 0 });
      return [[headNorm(kernels, {
        weight: await operands.floats(headDim),
        eps,
        x: await operands.floats(numRows * numHeads * headDim),
        stride: numHeads * headDim,
        offset: 0,
        headDim,
        numHeads,
        numRows,
      })]];
    },
  });
  return [rows(1), rows(manyTokens), heads(manyTokens)];
};
