import type { GpuContext } from "../../src/gpu/context.ts";

/** Buffers of a device that are not destroyed yet. */
export interface WatchedDevice {
  readonly context: GpuContext;
  /** Labels. */
  readonly live: ReadonlySet<string>;
  /** Of all of them. */
  liveBytes(): number;
}

/** The device of `context`; `upload` may change what the queue writes to a buffer. */
export function watchDevice(
  context: GpuContext,
  upload: (bytes: Uint8Array, label: string) => Uint8Array = (bytes) => bytes,
): WatchedDevice {
  const live = new Set<string>();
  let numBuffers = 0;
  let liveBytes = 0;
  const { device } = context;
  const queue = proxyOf(device.queue, {
    writeBuffer: (buffer: GPUBuffer, offset: number, data: ArrayBufferView<ArrayBuffer>) => {
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      const changed = upload(bytes, buffer.label) as Uint8Array<ArrayBuffer>;
      device.queue.writeBuffer(buffer, offset, changed);
    },
  });
  const createBuffer = (descriptor: GPUBufferDescriptor) => {
    const buffer = device.createBuffer(descriptor);
    const name = `${descriptor.label} ${numBuffers++}`;
    live.add(name);
    liveBytes += buffer.size;
    const destroy = buffer.destroy.bind(buffer);
    buffer.destroy = () => {
      if (live.delete(name)) liveBytes -= buffer.size;
      return destroy();
    };
    return buffer;
  };
  return {
    context: { ...context, device: proxyOf(device, { queue, createBuffer }) },
    live,
    liveBytes: () => liveBytes,
  };
}

/** `target` with other members in place of some. */
function proxyOf<T extends object>(target: T, members: Readonly<Record<string, unknown>>): T {
  return new Proxy(target, {
    get: (_, key) => {
      if (typeof key === "string" && Object.hasOwn(members, key)) return members[key];
      const value = Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
