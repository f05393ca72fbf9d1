import { copyStates } from "../../src/kernels/copy_states.ts";
import { packPairs } from "../../src/kernels/index_pairs.ts";
import { stateColumns } from "../../src/kernels/linear_shape.ts";
import type { CasesOf, KernelCase } from "./kernel_case.ts";
import { LINEAR_SHAPE } from "./linear_case.ts";

/** One state and eight, of one layer. */
export const copyStatesCases: CasesOf = () => {
  const numCols = stateColumns(LINEAR_SHAPE).delta;
  return [1, 8].map((numStates): KernelCase => ({
    kernel: "copy_states",
    shape: `${numStates} x ${numCols}`,
    format: null,
    cost: { bytes: 8 * numStates * numCols, flops: 0 },
    prepare: async (kernels, operands) => {
      operands.step({ numTokens: 1, numSamples: 0 });
      const pairs = Array.from({ length: numStates }, (_, i) => [i, numStates + i] as const);
      return [[copyStates(kernels, {
        states: await operands.floats(2 * numStates * numCols),
        numCols,
        pairs: await operands.bytes(packPairs(pairs)),
      })]];
    },
  }));
};
