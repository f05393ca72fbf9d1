import source from "../../shaders/matmul.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import type { KernelContext } from "./context.ts";
import { projectionBindings, type ProjectionCall, projectionConstants } from "./projection_call.ts";

/** Rows and tokens of y that a workgroup computes, and groups of threads that share the sums. */
interface Tiling {
  readonly rows: number;
  readonly tokens: number;
  readonly slices: number;
}

/** Rows and tokens of y that a thread computes. */
const THREAD_ROWS = 8;
const THREAD_TOKENS = 4;

/** For a batch of decodes or a short prompt: many groups for few tokens. Measured on an H100. */
const FEW: Tiling = { rows: 16, tokens: 32, slices: 10 };
const FEW_OF_MANY_ROWS: Tiling = { rows: 64, tokens: 32, slices: 2 };
const FEWER_OF_MANY_ROWS: Tiling = { rows: 64, tokens: 16, slices: 4 };
const MANY: Tiling = { rows: 128, tokens: 64, slices: 1 };

/** Up to these many tokens are few. */
export const MOST_FEW = 64;
/** A weight with these many rows fills a device with larger tiles. */
export const MANY_ROWS = 16_384;

/** y = W x for each row of x, meant for many: one dispatch for each part of the weight. */
export function matmul(kernels: KernelContext, call: ProjectionCall): Dispatch[] {
  return call.weight.parts.map((part) => {
    const isFew = kernels.tuning.sliceFewTokens && call.numRows <= MOST_FEW;
    const { rows, tokens, slices } = isFew ? tilingForFew(part.numRows, call.numRows) : MANY;
    return {
      program: kernels.programs.get({ name: "matmul", source }, {
        ...projectionConstants(call, part),
        TILE_F16: kernels.tuning.useF16Tiles && kernels.capabilities.hasF16,
        TILE_ROWS: rows,
        TILE_TOKENS: tokens,
        SLICES: slices,
        SLICED: slices > 1,
        WORKGROUP_SIZE: slices * (rows / THREAD_ROWS) * (tokens / THREAD_TOKENS),
      }),
      bindings: projectionBindings(kernels, call, part),
      workgroups: [divideUp(part.numRows, rows), divideUp(call.numRows, tokens), 1],
    };
  });
}

function tilingForFew(numRows: number, numTokens: number): Tiling {
  if (numRows < MANY_ROWS) return FEW;
  return numTokens > FEWER_OF_MANY_ROWS.tokens ? FEW_OF_MANY_ROWS : FEWER_OF_MANY_ROWS;
}
