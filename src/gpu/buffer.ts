import { type GpuContext, GpuMemoryError } from "./context.ts";

/** How a buffer is used; all of ours can be written by the queue and copied from. */
export type BufferRole = "storage" | "uniform" | "readback";

/** Bytes that a buffer of `sizeBytes` takes. */
export function allocatedBytes(sizeBytes: number): number {
  return Math.max(16, Math.ceil(sizeBytes / 16) * 16);
}

/** A buffer that is wanted. */
export interface BufferRequest {
  /** For errors. */
  readonly label: string;
  readonly sizeBytes: number;
  /** Storage unless given. */
  readonly role?: BufferRole;
}

/**
 * Allocates `sizeBytes` (rounded up to 16) of GPU memory inside error scopes.
 * Throws a GpuMemoryError that says what was wanted.
 */
export async function allocate(context: GpuContext, request: BufferRequest): Promise<GPUBuffer> {
  const { device, capabilities } = context;
  const size = allocatedBytes(request.sizeBytes);
  const refuse = (why: string) =>
    new GpuMemoryError(
      `Cannot allocate ${formatBytes(size)} of GPU memory for "${request.label}": ${why}`,
    );
  if (size > capabilities.maxBufferBytes) {
    throw refuse(`the adapter's largest buffer is ${formatBytes(capabilities.maxBufferBytes)}`);
  }
  let made = await tryAllocate(context, { ...request, size });
  if ("message" in made) {
    // What was destroyed lately may not be free yet.
    device.queue.submit([]);
    await context.wait(device.queue.onSubmittedWorkDone());
    made = await tryAllocate(context, { ...request, size });
  }
  if ("message" in made) throw refuse(made.message);
  return made;
}

/**
 * Destroys buffers and gives their memory back.
 *
 * Dawn keeps the memory of destroyed buffers until something more is submitted, however long it is
 * waited for. Evidence: 4 GiB on an H100 were free after an empty submission, and not without one.
 * Delete the submission when Dawn frees them by itself.
 */
export function destroyAll({ device }: GpuContext, buffers: Iterable<GPUBuffer>): void {
  for (const buffer of buffers) buffer.destroy();
  device.queue.submit([]);
}

async function tryAllocate(
  context: GpuContext,
  { label, size, role }: Omit<BufferRequest, "sizeBytes"> & { readonly size: number },
): Promise<GPUBuffer | GPUError> {
  const { device } = context;
  device.pushErrorScope("validation");
  device.pushErrorScope("out-of-memory");
  const buffer = device.createBuffer({ label, size, usage: usageOf(role) });
  const errors = await context.wait(Promise.all([device.popErrorScope(), device.popErrorScope()]));
  const error = errors.find((found) => found !== null);
  if (error === undefined || error === null) return buffer;
  buffer.destroy();
  return error;
}

function usageOf(role: BufferRole = "storage"): number {
  if (role === "readback") return GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
  const kind = role === "uniform" ? GPUBufferUsage.UNIFORM : GPUBufferUsage.STORAGE;
  return kind | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
}

/** Bytes for people: 1.5 GiB. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${+(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 2)} ${units[power]}`;
}
