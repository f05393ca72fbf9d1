import type { ModelConfig, WeightFormat } from "../../src/core.ts";
import type { Dispatch } from "../../src/gpu/dispatch.ts";
import type { KernelContext } from "../../src/kernels/context.ts";
import type { ProjectionCall } from "../../src/kernels/projection_call.ts";
import { WEIGHT_FORMATS } from "../../src/formats/weight_format.ts";
import { projectionCost } from "../cost.ts";
import type { KernelCase } from "./kernel_case.ts";

/** The matrices of a model: what they do, and [rows, columns]. */
export function projectionShapes(
  { hiddenSize, intermediateSize, numHeads, numKvHeads, headDim, vocabSize }: ModelConfig,
): Readonly<Record<"qkv" | "output" | "gateUp" | "down" | "head", readonly [number, number]>> {
  return {
    qkv: [(numHeads + 2 * numKvHeads) * headDim, hiddenSize],
    output: [hiddenSize, numHeads * headDim],
    gateUp: [2 * intermediateSize, hiddenSize],
    down: [hiddenSize, intermediateSize],
    head: [vocabSize, hiddenSize],
  };
}

/** A matrix times `numTokens` rows of x; no case where the format's blocks do not divide the rows. */
export function projectionCase(
  kernel: string,
  call: (kernels: KernelContext, call: ProjectionCall) => Dispatch[],
  { format, shape: [numRows, numCols], numTokens }: {
    readonly format: WeightFormat;
    readonly shape: readonly [number, number];
    readonly numTokens: number;
  },
): KernelCase[] {
  if (numCols % WEIGHT_FORMATS[format].blockSize !== 0) return [];
  return [{
    kernel,
    shape: `${numTokens} x ${numRows}x${numCols}`,
    format,
    cost: projectionCost({ format, numRows, numCols, numTokens }),
    prepare: async (kernels, operands) => {
      const x = await operands.floats(numTokens * numCols);
      const y = await operands.empty(numTokens * numRows * 4);
      const weights = await operands.rotatingWeights(format, [numRows, numCols]);
      operands.step({ numTokens, numSamples: numTokens });
      return weights.map((weight) => call(kernels, { weight, x, y, numRows: numTokens }));
    },
  }];
}
