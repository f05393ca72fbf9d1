import source from "../../shaders/matvec.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import type { Weight, WeightPart } from "../gpu/weight.ts";
import { foldWorkgroups, type KernelContext, type RowKind } from "./context.ts";
import { weightConstants } from "./weight_constants.ts";

/** Operands of `matvec` and `matmul`. */
export interface ProjectionCall {
  readonly weight: Weight;
  /** f32 [numTokens, weight.numCols]. */
  readonly x: GPUBuffer;
  /** f32 [numTokens, outStride]; columns [0, weight.numRows) are written. */
  readonly y: GPUBuffer;
  /** f32 [weight.numRows]. */
  readonly bias?: GPUBuffer | null;
  /** Adds to y instead of replacing it: the residual. */
  readonly accumulate?: boolean;
  readonly rows?: RowKind;
  readonly numTokens: number;
}

/** Tokens that share one read of the weights, by batch size. */
const TOKEN_TILES = [1, 2, 4, 8] as const;

/**
 * y = W x for each of a few tokens, one dispatch for each part of the weight. The order of
 * additions is the same for every number of tokens.
 */
export function matvec(kernels: KernelContext, call: ProjectionCall): Dispatch[] {
  return call.weight.parts.map((part) => matvecPart(kernels, call, part));
}

function matvecPart(kernels: KernelContext, call: ProjectionCall, part: WeightPart): Dispatch {
  const { tuning, capabilities } = kernels;
  const tokens = TOKEN_TILES.find((tile) => tile >= call.numTokens) ?? 8;
  const lanes = tuning.matvecLanes;
  const subgroups = tuning.useSubgroups && lanes === capabilities.subgroupSize;
  const workgroupSize = Math.max(64, lanes);
  const program = kernels.programs.get({ name: "matvec", source }, {
    ...weightConstants(part, call.weight.numCols),
    OUT_STRIDE: call.weight.numRows,
    OUT_OFFSET: part.startRow,
    TOKENS: tokens,
    LANES: lanes,
    WORKGROUP_SIZE: workgroupSize,
    SUBGROUPS: subgroups,
    HAS_BIAS: call.bias !== undefined && call.bias !== null,
    ACCUMULATE: call.accumulate ?? false,
    FOR_SAMPLES: call.rows === "samples",
  });
  return {
    program,
    bindings: [kernels.step, part.buffer, call.x, call.y, ...(call.bias ? [call.bias] : [])],
    workgroups: foldWorkgroups(
      divideUp(part.numRows, workgroupSize / lanes),
      divideUp(call.numTokens, tokens),
    ),
  };
}
