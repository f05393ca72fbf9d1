/** Rope as config.json has it: what is read, what is refused, and that no divisor is made up. */
import { describe, expect, test } from "vitest";
import type { HfConfig } from "../../src/core.ts";
import { ropeAngles } from "../../src/models/rope_angles.ts";
import { read } from "./configs.ts";

function rope(extra: HfConfig, headDim = 16) {
  return read("llama", { head_dim: headDim, ...extra }).rope;
}

const LLAMA3 = {
  rope_type: "llama3",
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 64,
};

describe("partial_rotary_factor", () => {
  test.each([[1, 16], [0.5, 8], [0.25, 4], [0.125, 2]])("%d turns %d of 16", (share, rotaryDim) => {
    expect(rope({ partial_rotary_factor: share }).rotaryDim).toBe(rotaryDim);
    const rope_parameters = { rope_theta: 5, partial_rotary_factor: share };
    expect(rope({ rope_parameters })).toMatchObject({ theta: 5, rotaryDim });
  });

  test("divided out of whole dimensions, it finds them again", () => {
    for (let headDim = 4; headDim <= 1024; headDim += 4) {
      for (let rotaryDim = 2; rotaryDim <= headDim; rotaryDim += 2) {
        const share = rotaryDim / headDim;
        expect(rope({ partial_rotary_factor: share }, headDim).rotaryDim).toBe(rotaryDim);
      }
    }
  });

  test.each([0, -1, 1.5, 1e9, 0.01, 0.2])("%d is refused", (share) => {
    expect(() => rope({ partial_rotary_factor: share })).toThrow('"partial_rotary_factor" must be');
  });
});

describe("theta and scaling", () => {
  test.each([0, -1, "10000"])("theta %j is refused", (theta) => {
    expect(() => rope({ rope_theta: theta })).toThrow('"rope_theta" must be a number above 0');
    expect(() => rope({ rope_parameters: { rope_theta: theta } })).toThrow('"rope_theta" must be');
  });

  test.each(["linear", "llama3"])("%s by 0, less or nothing is refused", (rope_type) => {
    for (const factor of [0, -2, null]) {
      expect(() => rope({ rope_scaling: { ...LLAMA3, rope_type, factor } }))
        .toThrow('"factor" must be a number above 0');
    }
  });

  test("llama3 needs a band between its frequencies, and a bounded length", () => {
    expect(() => rope({ rope_scaling: { ...LLAMA3, high_freq_factor: 1 } }))
      .toThrow('"high_freq_factor" must be above "low_freq_factor", which is 1');
    expect(() => rope({ rope_scaling: { ...LLAMA3, original_max_position_embeddings: 2 ** 40 } }))
      .toThrow('"original_max_position_embeddings" must be an integer from 1');
  });

  test.each(["yarn", "longrope", "dynamic"])("%s is refused by its name", (type) => {
    for (const key of ["rope_type", "type"]) {
      const message = `Rope scaling "${type}" is not supported: supported are "default", "linear"`;
      expect(() => rope({ rope_scaling: { [key]: type, factor: 4 } })).toThrow(message);
      expect(() => rope({ rope_parameters: { [key]: type, factor: 4 } })).toThrow(message);
    }
  });
});

describe("factors", () => {
  test("one for each pair divide the frequencies", () => {
    const factors = [1, 2, 4, 8, 1, 1, 1, 1];
    const scaled = rope({ rope_scaling: { rope_type: "factors", factors } });
    expect(scaled.scaling).toEqual({ type: "factors", factors });
    const [plain, divided] = [rope({}), scaled].map((each) => ropeAngles(each, 2));
    expect(divided![16]).toBe(plain![16]);
    expect(divided![19]).not.toBe(plain![19]);
  });

  test.each([
    ["too few", [1, 2]],
    ["too many", new Array(9).fill(1)],
    ["a zero", [0, 1, 1, 1, 1, 1, 1, 1]],
    ["a negative", [-1, 1, 1, 1, 1, 1, 1, 1]],
    ["nothing", null],
  ])("%s are refused", (_, factors) => {
    expect(() => rope({ rope_scaling: { rope_type: "factors", factors } }))
      .toThrow('"factors" must be a list of 8 numbers above 0');
  });

  test("an infinite one is refused", () => {
    const factors = [Infinity, 1, 1, 1, 1, 1, 1, 1];
    expect(() => rope({ rope_scaling: { rope_type: "factors", factors } })).toThrow(
      '"factors" must',
    );
  });

  test("ropeAngles() does not make up what a short list lacks", () => {
    const short = { ...rope({}), scaling: { type: "factors", factors: [1, 2] } } as const;
    expect(() => ropeAngles(short, 4)).toThrow("Rope has 2 factors for 8 pairs");
  });
});
