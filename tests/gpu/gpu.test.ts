import { describe, expect, test } from "vitest";
import { allocate, destroyAll, formatBytes } from "../../src/gpu/buffer.ts";
import { GpuMemoryError, withCapabilities } from "../../src/gpu/context.ts";
import type { Dispatch } from "../../src/gpu/dispatch.ts";
import { Profiler } from "../../src/gpu/profiler.ts";
import { ProgramCache, ShaderError } from "../../src/gpu/program.ts";
import { ReadbackRing } from "../../src/gpu/readback_ring.ts";
import { Recorder } from "../../src/gpu/recorder.ts";
import { openTestGpu } from "../kernels/gpu.ts";
import { fakeDevice } from "./fake_device.ts";

const gpu = await openTestGpu();
const { context } = gpu;
const { device } = context;

/** x[i] += ADD, for 64 elements. */
const ADDER = {
  name: "adder",
  source: `
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(64)
fn adder(@builtin(local_invocation_index) i: u32) { x[i] += ADD; }
`,
};

function counted<T extends object>(target: T, calls: string[]): T {
  return new Proxy(target, {
    get(_, key) {
      const value = Reflect.get(target, key);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        calls.push(String(key));
        return value.apply(target, args);
      };
    },
  });
}

async function adding(amount: number, buffer: GPUBuffer): Promise<Dispatch> {
  const programs = new ProgramCache(context, {});
  const program = programs.get(ADDER, { ADD: amount });
  await programs.compiled();
  return { program, bindings: [buffer], workgroups: [1, 1, 1] };
}

describe("allocate()", () => {
  test("rounds up to 16 bytes, and to 16 at least", async () => {
    for (const [sizeBytes, size] of [[0, 16], [1, 16], [16, 16], [17, 32], [1000, 1008]] as const) {
      const buffer = await allocate(context, { label: "test", sizeBytes });
      expect(buffer.size).toBe(size);
      buffer.destroy();
    }
  });

  test("refuses what no buffer can hold, with both sizes", async () => {
    const small = withCapabilities(context, { maxBufferBytes: 1.5 * 2 ** 30 });
    const refused = allocate(small, { label: "weights", sizeBytes: 5 * 2 ** 30 });
    await expect(refused).rejects.toThrow(GpuMemoryError);
    await expect(refused).rejects.toThrow(
      'Cannot allocate 5 GiB of GPU memory for "weights": the adapter\'s largest buffer is 1.5 GiB',
    );
  });

  test("passes on what the device says, and leaves no error behind", async () => {
    const unlimited = withCapabilities(context, { maxBufferBytes: Infinity });
    device.pushErrorScope("validation");
    await expect(allocate(unlimited, { label: "weights", sizeBytes: 2 ** 50 }))
      .rejects.toThrow(/^Cannot allocate 1024 TiB of GPU memory for "weights": ./);
    expect(await context.wait(device.popErrorScope())).toBeNull();
  });

  test("gets the memory of buffers that were destroyed just before", async () => {
    const { context, used } = fakeDevice(100);
    const buffers = [
      await allocate(context, { label: "a", sizeBytes: 48 }),
      await allocate(context, { label: "b", sizeBytes: 48 }),
    ];
    for (const buffer of buffers) buffer.destroy();
    expect(used()).toBe(96);
    await allocate(context, { label: "c", sizeBytes: 96 });
    await expect(allocate(context, { label: "d", sizeBytes: 16 })).rejects.toThrow(
      'Cannot allocate 16 B of GPU memory for "d": VK_ERROR_OUT_OF_DEVICE_MEMORY',
    );
  });

  test("destroyAll() gives memory back at once", async () => {
    const { context, used } = fakeDevice(100);
    destroyAll(context, [await allocate(context, { label: "a", sizeBytes: 64 })]);
    expect(used()).toBe(0);
  });

  test("formatBytes() writes bytes for people", () => {
    expect([0, 16, 1536, 2 ** 20, 5.25 * 2 ** 30, 2 ** 41].map(formatBytes))
      .toEqual(["0 B", "16 B", "1.5 KiB", "1 MiB", "5.25 GiB", "2 TiB"]);
  });
});

describe("ProgramCache", () => {
  test("compiles once for each name and set of constants", async () => {
    const programs = new ProgramCache(context, {});
    const two = programs.get(ADDER, { ADD: 2 });
    expect(two.pipeline).toBeNull();
    expect(programs.get(ADDER, { ADD: 2 })).toBe(two);
    expect(programs.get(ADDER, { ADD: 3 })).not.toBe(two);
    expect(programs.size).toBe(2);
    await programs.compiled();
    expect(two.pipeline).not.toBeNull();
  });

  test("names shader, constants and line of what does not compile", async () => {
    const programs = new ProgramCache(context, {});
    programs.get({ name: "broken", source: "fn a() {}\nfn b() { return 1; }" }, { N: 7 });
    const compiled = programs.compiled();
    await expect(compiled).rejects.toThrow(ShaderError);
    // The constant takes the first line.
    await expect(compiled).rejects.toThrow(/^Shader "broken N=7" does not compile: 3:\d+ ./);
  });

  test("names a shader that compiles to no pipeline", async () => {
    const programs = new ProgramCache(context, {});
    programs.get({ ...ADDER, name: "subtractor" }, { ADD: 1 });
    await expect(programs.compiled()).rejects.toThrow(
      /^Shader "subtractor ADD=1" makes no pipeline/,
    );
  });

  test("refuses bindings that are out of order", () => {
    const source = "@group(0) @binding(1) var<storage, read> x: array<u32>;";
    expect(() => new ProgramCache(context, {}).get({ name: "gap", source }, {}))
      .toThrow("Binding 1 is out of order");
  });
});

describe("Recorder", () => {
  test("replays a recording, dispatch after dispatch", async () => {
    const x = await gpu.output(new Uint32Array(64).fill(5));
    const recorder = new Recorder(context);
    const recording = recorder.record([await adding(1, x), await adding(10, x)]);
    recorder.submit(recording);
    recorder.submit(recording);
    expect(await gpu.readWords(x)).toEqual(new Uint32Array(64).fill(27));
  });

  test("makes one bind group for each program and buffers, over all recordings", async () => {
    const [x, y] = [await gpu.output(64), await gpu.output(64)];
    const calls: string[] = [];
    const recorder = new Recorder({ ...context, device: counted(device, calls) });
    const onX = await adding(1, x);
    const first = recorder.record([onX, onX, { ...onX, bindings: [y] }]);
    const second = recorder.record([onX]);
    expect(calls).toEqual(["createBindGroup", "createBindGroup"]);
    expect(first.steps[1]!.bindGroup).toBe(first.steps[0]!.bindGroup);
    expect(first.steps[2]!.bindGroup).not.toBe(first.steps[0]!.bindGroup);
    expect(second.steps[0]!.bindGroup).toBe(first.steps[0]!.bindGroup);
  });

  test("submits dispatches and copies in one pass and one command buffer", async () => {
    const x = await gpu.output(64);
    const calls: string[] = [];
    const submitted: number[] = [];
    const encoder = () => counted(device.createCommandEncoder(), calls);
    const recorder = new Recorder({
      ...context,
      device: new Proxy(device, {
        get(_, key) {
          if (key === "createCommandEncoder") return encoder;
          if (key !== "queue") return Reflect.get(device, key).bind(device);
          const submit = (buffers: GPUCommandBuffer[]) => {
            submitted.push(buffers.length);
            device.queue.submit(buffers);
          };
          return { submit };
        },
      }),
    });
    const add = await adding(1, x);
    const readback = await new ReadbackRing(context).reserve(x, 256);
    const plain = new Recorder(context).record([add, add, add]);
    recorder.submit(plain, [readback.copy]);
    expect(calls).toEqual(["beginComputePass", "copyBufferToBuffer", "finish"]);
    expect(submitted).toEqual([1]);
    await readback.read();
  });

  test("refuses to run what is not compiled", async () => {
    const program = new ProgramCache(context, {}).get(ADDER, { ADD: 4 });
    const recorder = new Recorder(context);
    const bindings = [await gpu.output(64)];
    const recording = recorder.record([{ program, bindings, workgroups: [1, 1, 1] }]);
    expect(() => recorder.submit(recording)).toThrow('"adder ADD=4" runs before it is compiled');
  });
});

describe("ReadbackRing", () => {
  test("returns each submit's bytes, several in flight, read in any order", async () => {
    const x = await gpu.output(new Uint32Array(64));
    const add = await adding(1, x);
    const recorder = new Recorder(context);
    const recording = recorder.record([add]);
    const ring = new ReadbackRing(context);
    for (let round = 0; round < 2; round++) {
      const readbacks = [];
      for (let i = 0; i < 5; i++) {
        const readback = await ring.reserve(x, 256);
        recorder.submit(recording, [readback.copy]);
        readbacks.push(readback);
      }
      const values = await Promise.all(
        readbacks.toReversed().map(async (readback) => new Uint32Array(await readback.read())[63]),
      );
      expect(values.toReversed()).toEqual([1, 2, 3, 4, 5].map((value) => value + 5 * round));
    }
    ring.destroy();
  });

  test("takes a free place again, and replaces one that is too small", async () => {
    const source = await gpu.upload(Uint32Array.from({ length: 256 }, (_, i) => i));
    const ring = new ReadbackRing(context);
    const recorder = new Recorder(context);
    const fetch = async (sizeBytes: number) => {
      const readback = await ring.reserve(source, sizeBytes);
      recorder.submit({ steps: [] }, [readback.copy]);
      const words = new Uint32Array(await readback.read());
      expect(words).toEqual(Uint32Array.from({ length: sizeBytes / 4 }, (_, i) => i));
      return readback.copy.destination;
    };
    const small = await fetch(64);
    expect(await fetch(32)).toBe(small);
    const large = await fetch(1024);
    expect(large).not.toBe(small);
    expect(await fetch(64)).toBe(large);
    ring.destroy();
  });
});

describe("Profiler", () => {
  test("times each program of a submit", async () => {
    if (!context.capabilities.hasTimestamps) {
      await expect(Profiler.create(context)).rejects.toThrow("no timestamp queries");
      return;
    }
    const x = await gpu.output(new Uint32Array(64));
    const [one, two] = [await adding(1, x), await adding(2, x)];
    const recorder = new Recorder(context);
    const profiler = await Profiler.create(context);
    recorder.profiler = profiler;
    recorder.submit(recorder.record([one, two, one, one]));
    const times = await profiler.read();
    expect(times.map(({ key, numDispatches }) => [key, numDispatches]).toSorted())
      .toEqual([["adder ADD=1", 3], ["adder ADD=2", 1]]);
    expect(times.reduce((sum, { totalMs }) => sum + totalMs, 0)).toBeGreaterThan(0);
    expect(times.every(({ totalMs }) => totalMs >= 0 && totalMs < 60_000)).toBe(true);
    expect(await gpu.readWords(x)).toEqual(new Uint32Array(64).fill(5));
    profiler.destroy();
  });

  test("needs a device with timestamps", async () => {
    const without = withCapabilities(context, { hasTimestamps: false });
    await expect(Profiler.create(without)).rejects.toThrow("no timestamp queries");
  });
});

test("a lost device says so", async () => {
  const own = await openTestGpu();
  own.context.destroy();
  const lost = await own.context.wait(own.context.lost);
  expect(lost.name).toBe("GpuLostError");
  expect(lost.message).toContain("destroyed");
});
