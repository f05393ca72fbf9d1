import { describe, expect, test } from "vitest";
import { grantedBytes } from "../../src/gpu/memory_probe.ts";
import { systemClock } from "../../src/platform/system.ts";
import { openTestGpu } from "../kernels/gpu.ts";
import { fakeDevice } from "./fake_device.ts";

const GIB = 2 ** 30;
const MIB = 2 ** 20;

describe("grantedBytes()", () => {
  test("asks for what is wanted and no more, and gives it back", async () => {
    const { context, clock, sizes, used } = fakeDevice(80 * GIB);
    const wantedBytes = 1.125 * GIB;
    expect(await grantedBytes(context, { wantedBytes, clock })).toBe(wantedBytes);
    expect(sizes).toEqual([256, 256, 256, 256, 128].map((mib) => mib * MIB));
    expect(used()).toBe(0);
  });

  test("ends at what the device refuses, and gives back what it had", async () => {
    const { context, clock, used } = fakeDevice(3.3 * GIB);
    expect(await grantedBytes(context, { wantedBytes: 10 * GIB, clock })).toBe(3.25 * GIB);
    expect(used()).toBe(0);
    const full = fakeDevice(100 * MIB);
    expect(await grantedBytes(full.context, { wantedBytes: GIB, clock })).toBe(0);
  });

  test("believes the rest after 2 s", async () => {
    const { context, clock, sizes, used } = fakeDevice(3 * GIB, { msEach: 500 });
    expect(await grantedBytes(context, { wantedBytes: 10 * GIB, clock })).toBe(10 * GIB);
    expect(sizes).toHaveLength(4);
    expect(used()).toBe(0);
  });

  test("takes smaller pieces where buffers are smaller", async () => {
    const { context, clock, sizes } = fakeDevice(GIB, { maxBufferBytes: 100 * MIB });
    expect(await grantedBytes(context, { wantedBytes: 250 * MIB, clock })).toBe(250 * MIB);
    expect(sizes).toEqual([100, 100, 50].map((mib) => mib * MIB));
  });

  test("leaves a real device as it was", async () => {
    const { context } = await openTestGpu();
    context.device.pushErrorScope("validation");
    const wantedBytes = 300 * MIB;
    expect(await grantedBytes(context, { wantedBytes, clock: systemClock })).toBe(wantedBytes);
    expect(await context.wait(context.device.popErrorScope())).toBeNull();
  });
});
