import source from "../../shaders/embed.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import { f32Literal } from "../gpu/f32_literal.ts";
import type { Weight } from "../gpu/weight.ts";
import type { KernelContext } from "./context.ts";
import { weightConstants } from "./projection_call.ts";

/** Looks up `tokenIds` u32 [numTokens] in the embedding: out f32 [numTokens, weight.numCols]. */
export function embed(
  kernels: KernelContext,
  call: {
    readonly weight: Weight;
    readonly tokenIds: GPUBuffer;
    readonly out: GPUBuffer;
    readonly numTokens: number;
    /** Factor of every element; 1 where left out. */
    readonly scale?: number;
  },
): Dispatch[] {
  return call.weight.parts.map((part) => ({
    program: kernels.programs.get({ name: "embed", source }, {
      ...weightConstants(part, call.weight.numCols),
      START_ROW: part.startRow,
      SCALE: f32Literal(call.scale ?? 1),
    }),
    bindings: [kernels.step, call.tokenIds, part.buffer, call.out],
    workgroups: [divideUp(call.weight.numCols, 64 * 8), call.numTokens, 1],
  }));
}
