import { deltaChunks } from "../../src/kernels/delta_chunks.ts";
import { deltaSolve } from "../../src/kernels/delta_solve.ts";
import { stateColumns, valueColumns } from "../../src/kernels/linear_shape.ts";
import type { CasesOf } from "./kernel_case.ts";
import {
  chunkedBatches,
  chunkOperands,
  deltaCost,
  LINEAR_SHAPE,
  linearName,
  linearOperands,
} from "./linear_case.ts";

/** The rule over prompts, what delta_solve takes among it: as delta_rule does it token by token. */
export const deltaChunksCases: CasesOf = ({ manyTokens }) =>
  chunkedBatches(manyTokens).map((batch) => {
    const numTokens = batch.numSlices * batch.tokensEach;
    return {
      kernel: "delta_chunks",
      shape: linearName(batch),
      format: null,
      cost: deltaCost(batch),
      prepare: async (kernels, operands) => {
        const call = {
          ...await linearOperands(operands, batch),
          ...await chunkOperands(operands, batch),
          gates: await operands.floats(4 * numTokens * LINEAR_SHAPE.numValueHeads),
          states: await operands.floats(batch.numSlices * stateColumns(LINEAR_SHAPE).delta),
          out: await operands.empty(4 * numTokens * valueColumns(LINEAR_SHAPE)),
        };
        return [[deltaSolve(kernels, call), deltaChunks(kernels, call)]];
      },
    };
  });
