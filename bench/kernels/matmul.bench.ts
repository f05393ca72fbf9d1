import { matmul } from "../../src/kernels/matmul.ts";
import type { CasesOf } from "./kernel_case.ts";
import { projectionCase, projectionShapes } from "./projection_cases.ts";

/** The matrices of a layer for a prefill step, and the largest for a batch of decodes. */
export const matmulCases: CasesOf = ({ config, formats, manyTokens }) => {
  const { qkv, output, gateUp, down } = projectionShapes(config);
  return formats.flatMap((format) => [
    ...[qkv, output, gateUp, down].flatMap((shape) =>
      projectionCase("matmul", matmul, { format, shape, numTokens: manyTokens })
    ),
    ...projectionCase("matmul", matmul, { format, shape: gateUp, numTokens: 32 }),
  ]);
};
