import { matvec } from "../../src/kernels/matvec.ts";
import type { CasesOf } from "./kernel_case.ts";
import { projectionCase, projectionShapes } from "./projection_cases.ts";

/** Every matrix for one token in every format, and the largest of a layer for 4, 8 and 32. */
export const matvecCases: CasesOf = ({ config, formats }) => {
  const shapes = projectionShapes(config);
  return formats.flatMap((format) => [
    ...Object.values(shapes).flatMap((shape) =>
      projectionCase("matvec", matvec, { format, shape, numTokens: 1 })
    ),
    ...[4, 8, 32].flatMap((numTokens) =>
      projectionCase("matvec", matvec, { format, shape: shapes.gateUp, numTokens })
    ),
  ]);
};
