import { describe, expect, test } from "vitest";
import { adapterName, chooseAdapter, NoAdapterError } from "../../src/gpu/context.ts";
import type { AdapterChoice } from "../../src/platform/platform.ts";

function choice(
  backend: AdapterChoice["backend"],
  info: { device?: string; description?: string; vendor?: string; architecture?: string },
): AdapterChoice {
  const adapter = {
    info: { device: "", description: "", vendor: "", architecture: "", ...info },
  };
  return {
    adapter: adapter as unknown as GPUAdapter,
    backend,
    isSoftware: false,
    wait: (promise) => promise,
  };
}

const CHOICES = [
  choice("dawn", { device: "NVIDIA H100", description: "driver 580" }),
  choice("dawn", { device: "llvmpipe (LLVM 19, 256 bits)" }),
  choice("wgpu", { vendor: "nvidia", architecture: "hopper" }),
];

describe("chooseAdapter()", () => {
  test("takes the first without a wish", () => {
    expect(chooseAdapter(CHOICES)).toBe(CHOICES[0]);
  });

  test.each([["llvmpipe", 1], ["LLVMPipe", 1], ["h100", 0], ["driver 580", 0], ["wgpu", 2]])(
    "finds %s in any case, in names and backends",
    (wanted, index) => expect(chooseAdapter(CHOICES, wanted)).toBe(CHOICES[index]),
  );

  test("lists what there is when nothing matches", () => {
    expect(() => chooseAdapter(CHOICES, "radeon")).toThrow(NoAdapterError);
    expect(() => chooseAdapter(CHOICES, "radeon")).toThrow(
      'No adapter matches "radeon": there is "NVIDIA H100 | driver 580" (dawn), ' +
        '"llvmpipe (LLVM 19, 256 bits)" (dawn), "nvidia hopper" (wgpu)',
    );
  });

  test("says how to get an adapter when there is none", () => {
    expect(() => chooseAdapter([])).toThrow(NoAdapterError);
    expect(() => chooseAdapter([], "h100")).toThrow("deno task setup");
  });
});

test("adapterName() falls back to vendor and architecture, then says it is unknown", () => {
  expect(adapterName(choice("dawn", { vendor: "amd" }).adapter)).toBe("amd");
  expect(adapterName(choice("dawn", {}).adapter)).toBe("unknown adapter");
});
