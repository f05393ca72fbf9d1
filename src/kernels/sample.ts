import source from "../../shaders/sample.wgsl" with { type: "text" };
import type { SampleRequest } from "../core.ts";
import type { Dispatch } from "../gpu/dispatch.ts";
import type { KernelContext } from "./context.ts";

/** Operands of `sample`. */
export interface SampleCall {
  /** f32 [numSamples, vocabSize], penalised already. */
  readonly logits: GPUBuffer;
  /** What `packSampleParams` made, [numSamples] rows in the order of the logits. */
  readonly params: GPUBuffer;
  /** u32 [numSamples]: the drawn token ids. */
  readonly tokens: GPUBuffer;
  readonly vocabSize: number;
  readonly numSamples: number;
}

/** Bytes of one row's parameters: struct SampleParams of shaders/sample.wgsl. */
export const SAMPLE_PARAMS_BYTES = 24;

/** Temperatures stay where the shader's f32 quotients are normal numbers. */
const TEMPERATURE_RANGE = [1e-30, 1e30] as const;

/**
 * Draws one token for each row of logits: the highest logit (lowest id on a tie) at temperature 0,
 * else a Gumbel-max draw after top-k, top-p and min-p, as shaders/sample.wgsl describes. The same
 * row, seed and token index give the same token in every batch.
 *
 * NaN logits count as -inf. A row without any number above -inf gives token 0; the logit of a
 * returned token is NaN or -inf in that case only.
 */
export function sample(kernels: KernelContext, call: SampleCall): Dispatch[] {
  if (call.numSamples === 0) return [];
  const program = kernels.programs.get({ name: "sample", source }, {
    VOCAB: call.vocabSize,
  });
  return [{
    program,
    bindings: [kernels.step, call.logits, call.params, call.tokens],
    workgroups: [call.numSamples, 1, 1],
  }];
}

/**
 * Rows of SAMPLE_PARAMS_BYTES in the order of `requests`, for the params buffer. Temperatures above
 * 0 are limited to [1e-30, 1e30]. Throws a RangeError on a temperature below 0, or a NaN.
 */
export function packSampleParams(requests: readonly SampleRequest[]): ArrayBuffer {
  const bytes = new ArrayBuffer(requests.length * SAMPLE_PARAMS_BYTES);
  const view = new DataView(bytes);
  requests.forEach((request, row) => {
    const { temperature, topP, minP } = request;
    if (!(temperature >= 0) || Number.isNaN(topP) || Number.isNaN(minP)) {
      throw new RangeError(
        `Cannot sample with temperature ${temperature}, topP ${topP}, minP ${minP}`,
      );
    }
    const at = row * SAMPLE_PARAMS_BYTES;
    view.setFloat32(at, temperature === 0 ? 0 : clamp(temperature, TEMPERATURE_RANGE), true);
    view.setFloat32(at + 4, clamp(topP, [0, 1]), true);
    view.setFloat32(at + 8, clamp(minP, [0, 1]), true);
    view.setUint32(at + 12, clamp(request.topK, [0, 0xffffffff]), true);
    view.setUint32(at + 16, request.seed, true);
    view.setUint32(at + 20, request.tokenIndex, true);
  });
  return bytes;
}

function clamp(value: number, [low, high]: readonly [number, number]): number {
  return Math.min(high, Math.max(low, value));
}
