import { describe, expect, test } from "vitest";
import { probeDevice } from "../../src/kernels/device_probe.ts";
import { defaultTuning } from "../../src/kernels/tuning.ts";
import { systemClock } from "../../src/platform/system.ts";
import type { GpuContext } from "../../src/gpu/context.ts";
import type { Clock } from "../../src/platform/platform.ts";
import { openTestGpu } from "./gpu.ts";

const { context } = await openTestGpu();

/** A device that counts its submits and its buffers' bytes. */
function watched(): GpuContext & { numSubmits: number; liveBytes: number; largestBytes: number } {
  const { device } = context;
  const seen = { numSubmits: 0, liveBytes: 0, largestBytes: 0 };
  const queue = new Proxy(device.queue, {
    get: (target, key) => {
      if (key === "submit") seen.numSubmits++;
      const value = Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const createBuffer = (descriptor: GPUBufferDescriptor) => {
    const buffer = device.createBuffer(descriptor);
    seen.liveBytes += descriptor.size;
    seen.largestBytes = Math.max(seen.largestBytes, seen.liveBytes);
    const destroy = buffer.destroy.bind(buffer);
    buffer.destroy = () => {
      seen.liveBytes -= descriptor.size;
      return destroy();
    };
    return buffer;
  };
  return Object.assign(seen, {
    ...context,
    device: new Proxy(device, {
      get: (target, key) => {
        if (key === "queue") return queue;
        if (key === "createBuffer") return createBuffer;
        const value = Reflect.get(target, key);
        return typeof value === "function" ? value.bind(target) : value;
      },
    }),
  });
}

/** Each look at it takes `stepMs`. */
function steppingClock(stepMs: number): Clock {
  let nowMs = 0;
  return { now: () => nowMs += stepMs, sleep: () => Promise.resolve() };
}

describe("probeDevice()", () => {
  test.each([{ isDeterministic: true }, { isDeterministic: false }])(
    "gives finite speeds above 0 and its memory back: %j",
    async (chosen) => {
      const tuning = defaultTuning(context.capabilities, chosen);
      const device = watched();
      const speed = await probeDevice(device, { tuning, clock: systemClock });
      for (const value of Object.values(speed)) {
        expect(Number.isFinite(value)).toBe(true);
        expect(value).toBeGreaterThan(0);
      }
      expect(device.liveBytes).toBe(0);
      expect(device.largestBytes).toBeGreaterThan(0);
      if (context.capabilities.isSoftware) {
        expect(device.largestBytes).toBeLessThanOrEqual(16 << 20);
      }
    },
  );

  test("starts no more rounds than it must once its time is over", async () => {
    const tuning = defaultTuning(context.capabilities);
    const inTime = watched();
    await probeDevice(inTime, { tuning, clock: steppingClock(20) });
    const late = watched();
    const speed = await probeDevice(late, { tuning, clock: steppingClock(10_000) });
    // One round to warm up and three that count, for each of two speeds; one gives the memory back.
    expect(late.numSubmits).toBe(9);
    expect(inTime.numSubmits).toBeGreaterThan(9);
    expect(speed.readGBps).toBeGreaterThan(0);
  });
});
