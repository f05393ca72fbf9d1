import source from "../../shaders/matvec.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import { foldWorkgroups, type KernelContext } from "./context.ts";
import { projectionBindings, type ProjectionCall, projectionConstants } from "./projection_call.ts";

const TOKEN_TILES = [1, 2, 4, 8];

/** Inputs loaded together and shared by broadcasts: four by each lane of llvmpipe's subgroups. */
const BROADCAST_LANES = 8;
const BROADCAST_COLS = 4 * BROADCAST_LANES;
const BROADCAST_TOKENS = 8;

/**
 * y = W x for each row of x, meant for a few: one dispatch for each part of the weight. The order of
 * additions is the same for every number of rows.
 */
export function matvec(kernels: KernelContext, call: ProjectionCall): Dispatch[] {
  const { tuning, capabilities } = kernels;
  const lanes = tuning.matvecLanes;
  const workgroupSize = Math.max(64, lanes);
  const { subgroupSize } = capabilities;
  const isBroadcast = tuning.useSubgroups && lanes === 1 && subgroupSize === BROADCAST_LANES &&
    call.weight.numCols % BROADCAST_COLS === 0;
  const largest = isBroadcast ? BROADCAST_TOKENS : tuning.matvecTokens;
  const tokens = TOKEN_TILES.find((tile) => tile >= Math.min(call.numRows, largest)) ?? largest;
  return call.weight.parts.map((part) => ({
    program: kernels.programs.get({ name: "matvec", source }, {
      ...projectionConstants(call, part),
      TOKENS: tokens,
      LANES: lanes,
      WORKGROUP_SIZE: workgroupSize,
      SUBGROUPS: tuning.useSubgroups && lanes > 1 && lanes === subgroupSize,
      BROADCAST: isBroadcast,
    }),
    bindings: projectionBindings(kernels, call, part),
    workgroups: foldWorkgroups(
      divideUp(part.numRows, workgroupSize / lanes),
      divideUp(call.numRows, tokens),
    ),
  }));
}
