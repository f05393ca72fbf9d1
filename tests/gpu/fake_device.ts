import type { GpuContext } from "../../src/gpu/context.ts";

/**
 * A device of `roomBytes` on which an allocation takes `msEach`. Like Dawn, it frees what was destroyed
 * when something is submitted, and no sooner.
 */
export function fakeDevice(roomBytes: number, { msEach = 0, maxBufferBytes = 2 ** 32 } = {}) {
  let usedBytes = 0;
  let destroyedBytes = 0;
  let nowMs = 0;
  const sizes: number[] = [];
  const errors: (Error | null)[] = [];
  const createBuffer = ({ size }: GPUBufferDescriptor) => {
    nowMs += msEach;
    const isRefused = usedBytes + size > roomBytes;
    // Scopes are opened outside first.
    errors[errors.length - 1] = isRefused ? new Error("VK_ERROR_OUT_OF_DEVICE_MEMORY") : null;
    if (!isRefused) usedBytes += size;
    sizes.push(size);
    return { size, destroy: () => void (destroyedBytes += isRefused ? 0 : size) };
  };
  const device = {
    createBuffer,
    pushErrorScope: () => void errors.push(null),
    popErrorScope: () => Promise.resolve(errors.pop() ?? null),
    queue: {
      submit: () => {
        usedBytes -= destroyedBytes;
        destroyedBytes = 0;
      },
      onSubmittedWorkDone: () => Promise.resolve(),
    },
  };
  const context = { device, capabilities: { maxBufferBytes }, wait: (promise: unknown) => promise };
  return {
    context: context as unknown as GpuContext,
    clock: { now: () => nowMs, sleep: () => Promise.reject(new Error("Nobody sleeps here")) },
    sizes,
    used: () => usedBytes,
  };
}
