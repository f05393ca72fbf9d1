import { allocate } from "./buffer.ts";
import type { GpuContext } from "./context.ts";
import type { RecordedStep, Recording } from "./recording.ts";

/** GPU time of one program, summed over its dispatches. */
export interface ProgramTime {
  readonly key: string;
  readonly numDispatches: number;
  readonly totalMs: number;
}

/** Timestamps that one submit can hold; a dispatch takes two. WebGPU allows 4,096 a query set. */
const CAPACITY = 4096;

/** Times every dispatch of the submits made while it is set on a Recorder. */
export class Profiler {
  readonly #context: GpuContext;
  readonly #querySet: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #readback: GPUBuffer;
  #pending: RecordedStep[] = [];

  private constructor(context: GpuContext, buffers: [GPUBuffer, GPUBuffer]) {
    this.#context = context;
    [this.#resolved, this.#readback] = buffers;
    this.#querySet = context.device.createQuerySet({ type: "timestamp", count: CAPACITY });
  }

  /** Throws when the device has no timestamp queries. */
  static async create(context: GpuContext): Promise<Profiler> {
    if (!context.capabilities.hasTimestamps) {
      throw new Error("This adapter has no timestamp queries, so kernels cannot be timed");
    }
    const sizeBytes = CAPACITY * 8;
    const resolved = context.device.createBuffer({
      size: sizeBytes,
      usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    });
    const readback = await allocate(context, { label: "timestamps", sizeBytes, role: "readback" });
    return new Profiler(context, [resolved, readback]);
  }

  /** Encodes each step in a timed pass; what does not fit the query set goes untimed. */
  encode(
    encoder: GPUCommandEncoder,
    recording: Recording,
    encodeStep: (pass: GPUComputePassEncoder, step: RecordedStep) => void,
  ): void {
    this.#pending = recording.steps.slice(0, CAPACITY / 2);
    recording.steps.forEach((step, index) => {
      const pass = encoder.beginComputePass(
        index < this.#pending.length
          ? {
            timestampWrites: {
              querySet: this.#querySet,
              beginningOfPassWriteIndex: 2 * index,
              endOfPassWriteIndex: 2 * index + 1,
            },
          }
          : {},
      );
      encodeStep(pass, step);
      pass.end();
    });
    const count = 2 * this.#pending.length;
    encoder.resolveQuerySet(this.#querySet, 0, count, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#readback, 0, count * 8);
  }

  /** The times of the last submit, longest first. */
  async read(): Promise<ProgramTime[]> {
    const steps = this.#pending;
    await this.#context.wait(this.#readback.mapAsync(GPUMapMode.READ, 0, steps.length * 16));
    const stamps = new BigUint64Array(this.#readback.getMappedRange(0, steps.length * 16).slice(0));
    this.#readback.unmap();
    const times = new Map<string, { key: string; numDispatches: number; totalMs: number }>();
    steps.forEach(({ program }, index) => {
      const elapsedNs = Number((stamps[2 * index + 1] ?? 0n) - (stamps[2 * index] ?? 0n));
      const time = times.get(program.key) ?? { key: program.key, numDispatches: 0, totalMs: 0 };
      time.numDispatches += 1;
      time.totalMs += elapsedNs / 1e6;
      times.set(program.key, time);
    });
    return [...times.values()].sort((a, b) => b.totalMs - a.totalMs);
  }

  destroy(): void {
    this.#querySet.destroy();
    this.#resolved.destroy();
    this.#readback.destroy();
  }
}
