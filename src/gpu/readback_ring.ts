import { allocate } from "./buffer.ts";
import type { GpuContext } from "./context.ts";
import type { CopyRequest } from "./recorder.ts";

/** A place to copy a result to, and the promise of its bytes. */
export interface Readback {
  /** Goes into the submit that produces the result. */
  readonly copy: CopyRequest;
  /** Call after that submit. Resolves to the bytes and gives the place back. */
  read(): Promise<ArrayBuffer>;
}

/**
 * Mappable buffers used in turn, so that a step can be submitted while earlier results are still on
 * their way. A ring grows when all its buffers are taken or too small.
 */
export class ReadbackRing {
  readonly #context: GpuContext;
  readonly #free: GPUBuffer[] = [];
  readonly #all = new Set<GPUBuffer>();

  constructor(context: GpuContext) {
    this.#context = context;
  }

  get allocatedBytes(): number {
    return [...this.#all].reduce((total, buffer) => total + buffer.size, 0);
  }

  /** Allocates `count` places of `sizeBytes` before they are needed. Throws a GpuMemoryError. */
  async prepare(count: number, sizeBytes: number): Promise<void> {
    for (let i = 0; i < count; i++) this.#free.push(await this.#allocate(sizeBytes));
  }

  /** Reserves a place for `sizeBytes` (a multiple of 4) from the start of `source`. */
  async reserve(source: GPUBuffer, sizeBytes: number): Promise<Readback> {
    const destination = this.#take(sizeBytes) ?? await this.#grow(sizeBytes);
    return {
      copy: { source, destination, sizeBytes },
      read: async () => {
        const mapped = destination.mapAsync(GPUMapMode.READ, 0, sizeBytes);
        await this.#context.wait(mapped, `readback of ${sizeBytes}`);
        const bytes = destination.getMappedRange(0, sizeBytes).slice(0);
        destination.unmap();
        this.#free.push(destination);
        return bytes;
      },
    };
  }

  destroy(): void {
    for (const buffer of this.#all) buffer.destroy();
    this.#all.clear();
    this.#free.length = 0;
  }

  #take(sizeBytes: number): GPUBuffer | undefined {
    const index = this.#free.findIndex((buffer) => buffer.size >= sizeBytes);
    return index < 0 ? undefined : this.#free.splice(index, 1)[0];
  }

  async #grow(sizeBytes: number): Promise<GPUBuffer> {
    const small = this.#free.shift();
    if (small !== undefined) {
      this.#all.delete(small);
      small.destroy();
    }
    return await this.#allocate(sizeBytes);
  }

  async #allocate(sizeBytes: number): Promise<GPUBuffer> {
    const buffer = await allocate(this.#context, {
      label: "readback",
      sizeBytes,
      role: "readback",
    });
    this.#all.add(buffer);
    return buffer;
  }
}
