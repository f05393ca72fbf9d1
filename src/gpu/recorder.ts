import type { GpuContext } from "./context.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Profiler } from "./profiler.ts";
import type { Program } from "./program.ts";
import type { RecordedStep, Recording } from "./recording.ts";

/** A copy that follows the dispatches in the same submit. */
export interface CopyRequest {
  readonly source: GPUBuffer;
  readonly destination: GPUBuffer;
  readonly sizeBytes: number;
}

/**
 * Turns dispatches into recordings and recordings into submits: one pass and one submit a step.
 * Bind groups are made once for each (program, buffers) and shared between recordings.
 */
export class Recorder {
  readonly #context: GpuContext;
  readonly #bindGroups = new Map<
    Program,
    { buffers: readonly GPUBuffer[]; group: GPUBindGroup }[]
  >();
  /** When set, every dispatch is timed in a pass of its own. */
  profiler: Profiler | null = null;

  constructor(context: GpuContext) {
    this.#context = context;
  }

  /** Makes the bind groups of `dispatches`. */
  record(dispatches: readonly Dispatch[]): Recording {
    return {
      steps: dispatches.map(({ program, bindings, workgroups }) => ({
        program,
        bindGroup: this.#bindGroup(program, bindings),
        workgroups,
      })),
    };
  }

  /** Submits a recording and the copies after it. All its programs must be compiled. */
  submit(recording: Recording, copies: readonly CopyRequest[] = []): void {
    const { device } = this.#context;
    const encoder = device.createCommandEncoder();
    if (this.profiler !== null) this.profiler.encode(encoder, recording, encodeStep);
    else if (recording.steps.length > 0) {
      const pass = encoder.beginComputePass();
      for (const step of recording.steps) encodeStep(pass, step);
      pass.end();
    }
    for (const { source, destination, sizeBytes } of copies) {
      encoder.copyBufferToBuffer(source, 0, destination, 0, sizeBytes);
    }
    device.queue.submit([encoder.finish()]);
  }

  #bindGroup(program: Program, buffers: readonly GPUBuffer[]): GPUBindGroup {
    let known = this.#bindGroups.get(program);
    if (known === undefined) this.#bindGroups.set(program, known = []);
    const found = known.find((entry) => entry.buffers.every((buffer, i) => buffer === buffers[i]));
    if (found !== undefined) return found.group;
    const group = this.#context.device.createBindGroup({
      label: program.name,
      layout: program.layout,
      entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
    known.push({ buffers, group });
    return group;
  }
}

function encodeStep(pass: GPUComputePassEncoder, step: RecordedStep): void {
  if (step.program.pipeline === null) {
    throw new Error(`Program "${step.program.key}" runs before it is compiled`);
  }
  pass.setPipeline(step.program.pipeline);
  pass.setBindGroup(0, step.bindGroup);
  pass.dispatchWorkgroups(...step.workgroups);
}
