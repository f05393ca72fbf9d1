import source from "../../shaders/softcap.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import { f32Literal } from "../gpu/f32_literal.ts";
import type { KernelContext } from "./context.ts";

/** Keeps logits f32 [numSamples, vocabSize] within (-cap, cap), in place: cap tanh(x / cap). */
export function softcap(
  kernels: KernelContext,
  call: {
    readonly logits: GPUBuffer;
    readonly cap: number;
    readonly vocabSize: number;
    readonly numSamples: number;
  },
): Dispatch {
  return {
    program: kernels.programs.get({ name: "softcap", source }, {
      VOCAB: call.vocabSize,
      CAP: f32Literal(call.cap),
    }),
    bindings: [kernels.step, call.logits],
    workgroups: [divideUp(call.vocabSize, 64), call.numSamples, 1],
  };
}
