import type { Dispatch } from "../gpu/dispatch.ts";
import { rmsNorm } from "../kernels/rms_norm.ts";
import { type LayerRun, operand } from "./architecture.ts";

/** scratch.normed = norm(h): what a block of the layer computes from. */
export function normHidden(
  { kernels, config, hidden, scratch, weights, shape }: LayerRun,
  weight: "inputNorm" | "mlpNorm",
): Dispatch {
  return rmsNorm(kernels, {
    weight: operand(weights.vectors, weight),
    hasUnitOffset: config.hasUnitOffsetNorms,
    eps: config.rmsNormEps,
    x: hidden,
    y: operand(scratch, "normed"),
    numCols: config.hiddenSize,
    numRows: shape.numTokens,
  });
}
