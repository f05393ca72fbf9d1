import { describe, expect, test } from "vitest";
import { type GpuContext, withCapabilities } from "../../src/gpu/context.ts";
import { selfTest, SelfTestError } from "../../src/kernels/self_test.ts";
import { openTestGpu } from "./gpu.ts";

const gpu = await openTestGpu();
const { context } = gpu;
const { capabilities } = context;
const F16 = { useF16Tiles: true };

/** A device that compiles `to` wherever `from` stands in a shader that contains `mark`. */
function broken(from: string, to: string, mark = from): GpuContext & { numFaults: number } {
  const faulty = {
    ...context,
    numFaults: 0,
    device: new Proxy(context.device, {
      get(device, key) {
        if (key === "createShaderModule") {
          return ({ code, ...rest }: GPUShaderModuleDescriptor) => {
            if (!code.includes(mark)) return device.createShaderModule({ ...rest, code });
            faulty.numFaults += 1;
            return device.createShaderModule({ ...rest, code: code.replaceAll(from, to) });
          };
        }
        const value = Reflect.get(device, key);
        return typeof value === "function" ? value.bind(device) : value;
      },
    }),
  };
  return faulty;
}

describe("selfTest()", () => {
  test("passes this device with all that it can do", async () => {
    const result = await selfTest(context, F16);
    expect(result.warnings).toEqual([]);
    expect(result.context.capabilities).toEqual(capabilities);
  });

  test("gives software adapters f16 only when it is chosen", async () => {
    const { hasF16, isSoftware } = capabilities;
    const result = await selfTest(context);
    expect(result.warnings).toEqual([]);
    expect(result.context.capabilities)
      .toEqual({ ...capabilities, hasF16: hasF16 && !isSoftware });
  });

  test("passes runs that need not be deterministic, with K and V in f16", async () => {
    const result = await selfTest(context, { isDeterministic: false });
    expect(result.warnings).toEqual([]);
  });

  test.each([
    [
      "embed",
      "let row = token_ids[token] - START_ROW",
      "let row = token_ids[token] - START_ROW + 1u",
    ],
    ["rms_norm", "scale * factor(i)", "scale * factor(i) * 1.0001"],
    ["rms_norm", "i += WORKGROUP_SIZE", "i += 2u * WORKGROUP_SIZE"],
    ["matvec (q4_0)", "(q.lo - 8.0)", "(q.lo - 7.0)"],
    ["matvec (f32)", "row * COLS + k + i", "row * COLS + k"],
    ["q8_0", "weights[at + 1u]", "weights[at]"],
    ["silu_mul", "1.0 + exp(-gate)", "1.0 + exp(gate)"],
    ["attention_decode", "key <= position", "key < position"],
    ["attention_decode", "k_cache[to] =", "k_cache[to + 1u] ="],
    ["sample", "VOCAB", "(VOCAB / 8u)"],
  ])("throws when %s is wrong: %s becomes %s", async (kernel, from, to) => {
    const faulty = broken(from, to);
    const failed = selfTest(faulty);
    await expect(failed).rejects.toThrow(SelfTestError);
    await expect(failed).rejects.toThrow(`"${capabilities.adapterName}" cannot be used`);
    await expect(failed).rejects.toThrow(kernel);
    expect(faulty.numFaults).toBeGreaterThan(0);
  });

  test("throws when a baseline shader does not compile", async () => {
    const failed = selfTest(broken("inverseSqrt(", "inverse_square_root("));
    await expect(failed).rejects.toThrow(SelfTestError);
    await expect(failed).rejects.toThrow(/Shader "rms_norm .*does not compile/);
  });
});

describe("selfTest() turns off", () => {
  const wrongSubgroups = [["subgroupAdd(", "0.5 * subgroupAdd("], [
    "subgroupAdd(",
    "subgroupNone(",
  ]];
  test.each(wrongSubgroups)("subgroups that compute wrong: %s becomes %s", async (from, to) => {
    const faulty = broken(from!, to!);
    const result = await selfTest(faulty);
    const hasSubgroups = capabilities.subgroupSize > 0;
    expect(faulty.numFaults > 0).toBe(hasSubgroups);
    expect(result.context.capabilities.subgroupSize).toBe(0);
    expect(result.warnings.length).toBe(hasSubgroups ? 1 : 0);
    if (hasSubgroups) expect(result.warnings[0]).toMatch(/^Subgroup operations of .*rms_norm/);
  });

  test("subgroups whose broadcasts are wrong, where a kernel uses them", async () => {
    const faulty = broken("subgroupBroadcast(own[t], 2u)", "own[t]");
    const result = await selfTest(faulty);
    expect(faulty.numFaults > 0).toBe(capabilities.isSoftware && capabilities.subgroupSize === 8);
    expect(result.warnings.length).toBe(faulty.numFaults > 0 ? 1 : 0);
    if (faulty.numFaults > 0) {
      expect(result.warnings[0]).toMatch(/^Subgroup operations of .*matvec/);
    }
  });

  test("f16 that computes wrong", async () => {
    const faulty = broken("element4(held[i].hi)", "Element4()", "enable f16;");
    const result = await selfTest(faulty, F16);
    expect(faulty.numFaults > 0).toBe(capabilities.hasF16);
    expect(result.context.capabilities.hasF16).toBe(false);
    expect(result.warnings.length).toBe(capabilities.hasF16 ? 1 : 0);
    if (capabilities.hasF16) expect(result.warnings[0]).toMatch(/^f16 arithmetic of .*matmul/);
    expect(result.context.capabilities.subgroupSize).toBe(capabilities.subgroupSize);
  });

  test("nothing that the device does not have", async () => {
    const plain = withCapabilities(context, { subgroupSize: 0, hasF16: false });
    const result = await selfTest(plain, F16);
    expect(result.warnings).toEqual([]);
    expect(result.context.capabilities).toEqual(plain.capabilities);
  });
});
