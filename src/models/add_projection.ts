/**
 * How a block ends: what it computed, projected and added to the hidden states.
 *
 * @module
 */
import type { Dispatch } from "../gpu/dispatch.ts";
import type { Weight } from "../gpu/weight.ts";
import { projection } from "../kernels/projection.ts";
import { rmsNorm } from "../kernels/rms_norm.ts";
import { type LayerRun, operand } from "./architecture.ts";

/** h += W x (+ bias), or h += norm(W x (+ bias)); `normed` is free for it. */
export function addProjection(
  run: LayerRun,
  { weight, x, bias, postNorm }: {
    readonly weight: Weight;
    readonly x: GPUBuffer;
    readonly bias: GPUBuffer | null;
    readonly postNorm: GPUBuffer | null;
  },
): Dispatch[] {
  const { kernels, config, hidden, shape: { numTokens: numRows } } = run;
  if (postNorm === null) {
    return projection(kernels, { weight, x, y: hidden, bias, accumulate: true, numRows });
  }
  const added = operand(run.scratch, "normed");
  return [
    ...projection(kernels, { weight, x, y: added, bias, numRows }),
    rmsNorm(kernels, {
      weight: postNorm,
      hasUnitOffset: config.hasUnitOffsetNorms,
      eps: config.rmsNormEps,
      x: added,
      y: hidden,
      accumulate: true,
      numCols: config.hiddenSize,
      numRows,
    }),
  ];
}
