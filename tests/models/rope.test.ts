/** Rope as config.json has it: what is read, what is refused, and that no divisor is made up. */
import { describe, expect, test } from "vitest";
import type { HfConfig } from "../../src/core.ts";
import { readRope } from "../../src/models/rope_config.ts";
import { ConfigReader } from "../../src/models/config_reader.ts";
import { ropeAngles, ropeFrequencies, yarnMscale } from "../../src/models/rope_angles.ts";
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

  test("dynamic scaling changes nothing within the length that the model knows", () => {
    const dynamic = { rope_scaling: { type: "dynamic", factor: 4 } };
    expect(rope(dynamic)).toEqual(rope({ rope_scaling: null }));
  });

  test.each(["longrope", "proportional"])("%s is refused by its name", (type) => {
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

/** transformers' frequencies and attention factors for heads of 16 and 512 positions at most. */
const YARN: readonly [number, HfConfig, number[], number][] = [
  [10000, {
    "rope_type": "yarn",
    "factor": 32.0,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "original_max_position_embeddings": 64,
    "truncate": false,
  }, [
    1.0,
    0.16427062451839447,
    0.003893863642588258,
    0.0009882118320092559,
    0.0003124999930150807,
    9.882118320092559e-05,
    3.125000148429535e-05,
    9.882118320092559e-06,
  ], 1.3465735902799727],
  [150000, {
    "rope_type": "yarn",
    "factor": 32.0,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "original_max_position_embeddings": 64,
    "truncate": false,
  }, [
    1.0,
    0.08524909615516663,
    0.0015879147686064243,
    0.0003579445765353739,
    8.068715396802872e-05,
    1.818833698052913e-05,
    4.099978468730114e-06,
    9.242089618055616e-07,
  ], 1.3465735902799727],
  [10000, { "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096 }, [
    1.0,
    0.3162277638912201,
    0.10000000149011612,
    0.025693506002426147,
    0.00624999962747097,
    0.0013834965648129582,
    0.0002500000118743628,
    7.905694656074047e-05,
  ], 1.138629436111989],
  [150000, { "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096 }, [
    1.0,
    0.22541800141334534,
    0.05081327259540558,
    0.008590669371187687,
    0.0012909944634884596,
    0.00014550669584423304,
    3.2799827749840915e-05,
    7.3936716944444925e-06,
  ], 1.138629436111989],
  [10000, {
    "rope_type": "yarn",
    "factor": 40.0,
    "original_max_position_embeddings": 128,
    "mscale": 1.0,
    "mscale_all_dim": 0.5,
    "beta_fast": 16,
    "beta_slow": 2,
  }, [
    1.0,
    0.2134537249803543,
    0.034999996423721313,
    0.0007905694656074047,
    0.0002500000118743628,
    7.905694656074047e-05,
    2.499999936844688e-05,
    7.905694474175107e-06,
  ], 1.1557219901962608],
  [150000, {
    "rope_type": "yarn",
    "factor": 40.0,
    "original_max_position_embeddings": 128,
    "mscale": 1.0,
    "mscale_all_dim": 0.5,
    "beta_fast": 16,
    "beta_slow": 2,
  }, [
    1.0,
    0.1155267283320427,
    0.001270331791602075,
    0.0002863556728698313,
    6.454972026403993e-05,
    1.4550669220625423e-05,
    3.279982593085151e-06,
    7.39367180813133e-07,
  ], 1.1557219901962608],
  [10000, {
    "rope_type": "yarn",
    "factor": 8.0,
    "original_max_position_embeddings": 256,
    "attention_factor": 0.5,
  }, [
    1.0,
    0.24705293774604797,
    0.05625000223517418,
    0.010870330035686493,
    0.0012499999720603228,
    0.00039528473280370235,
    0.0001250000059371814,
    3.9528473280370235e-05,
  ], 0.5],
  [150000, {
    "rope_type": "yarn",
    "factor": 8.0,
    "original_max_position_embeddings": 256,
    "attention_factor": 0.5,
  }, [
    1.0,
    0.15967106819152832,
    0.02117219567298889,
    0.0014317783061414957,
    0.0003227486158721149,
    7.275334792211652e-05,
    1.6399913874920458e-05,
    3.6968358472222462e-06,
  ], 0.5],
  [10000, { "type": "yarn", "factor": 2.0 }, [
    1.0,
    0.2766992747783661,
    0.07500000298023224,
    0.019764237105846405,
    0.004999999888241291,
    0.0015811389312148094,
    0.0005000000237487257,
    0.00015811389312148094,
  ], 1.0693147180559945],
  [150000, { "type": "yarn", "factor": 2.0 }, [
    1.0,
    0.18784832954406738,
    0.033875517547130585,
    0.005727113224565983,
    0.0012909944634884596,
    0.00029101339168846607,
    6.559965549968183e-05,
    1.4787343388888985e-05,
  ], 1.0693147180559945],
];

describe("yarn", () => {
  test.each(YARN)("with theta %d and %j is transformers'", (rope_theta, scaling, waves, factor) => {
    for (
      const spelling of [
        { rope_theta, rope_scaling: scaling },
        { rope_parameters: { ...scaling, rope_theta } },
        { rope_parameters: { full_attention: { ...scaling, rope_theta } } },
      ]
    ) {
      const read = rope({ max_position_embeddings: 512, ...spelling });
      const found = ropeFrequencies(read);
      waves.forEach((wave, pair) => expect(Math.abs(found[pair]! / wave - 1)).toBeLessThan(3e-7));
      const angles = ropeAngles(read, 4);
      expect(angles[0]).toBeCloseTo(factor, 6);
      expect(angles[3 * 16 + 2]).toBeCloseTo(Math.cos(3 * waves[1]!) * factor, 6);
      expect(angles[3 * 16 + 3]).toBeCloseTo(Math.sin(3 * waves[1]!) * factor, 6);
    }
  });

  const YARN_4 = { rope_type: "yarn", factor: 4, original_max_position_embeddings: 64 };

  test("keeps mscale_all_dim, and a length beside it goes first", () => {
    const scaling = { ...YARN_4, mscale: 0.707, mscale_all_dim: 0.707 };
    const found = rope({ rope_scaling: scaling, original_max_position_embeddings: 32 }).scaling;
    expect(found).toMatchObject({
      attentionFactor: 1,
      mscaleAllDim: 0.707,
      originalMaxPositions: 32,
    });
    expect(yarnMscale(40, 0.707)).toBeCloseTo(0.1 * 0.707 * Math.log(40) + 1, 12);
    expect(yarnMscale(1)).toBe(1);
  });

  test("without a factor it is the share of the longest sequence", () => {
    const scaling = { ...YARN_4, factor: null };
    expect(rope({ rope_scaling: scaling, max_position_embeddings: 512 }).scaling)
      .toMatchObject({ factor: 8 });
  });

  test.each([
    [{ factor: -1 }, '"factor"'],
    [{ beta_fast: 1, beta_slow: 32 }, '"beta_fast" must be at least "beta_slow", 32'],
    [{ original_max_position_embeddings: 2 ** 40 }, '"original_max_position_embeddings"'],
    [{ truncate: "yes" }, '"truncate"'],
    [{ attention_factor: 0 }, '"attention_factor"'],
  ])("%j is refused", (wrong, message) => {
    expect(() => rope({ rope_scaling: { ...YARN_4, ...wrong } })).toThrow(message);
  });
});

describe("a rope for each type of layers", () => {
  const rope_parameters = {
    full_attention: { rope_type: "linear", factor: 8, rope_theta: 1e6 },
    sliding_attention: { rope_type: "default", rope_theta: 1e4 },
  };

  test.each(["rope_parameters", "rope_scaling"])("is read from %s", (field) => {
    const config = new ConfigReader({ [field]: rope_parameters });
    expect(readRope(config, 16)).toMatchObject({
      theta: 1e6,
      scaling: { type: "linear", factor: 8 },
    });
    expect(readRope(config, 16, { layerType: "sliding_attention", theta: 5 })).toMatchObject({
      theta: 1e4,
      scaling: { type: "none" },
    });
  });

  test("scaling in the older field goes first, theta comes from wherever it is", () => {
    const config = new ConfigReader({
      rope_scaling: { type: "linear", factor: 2 },
      rope_parameters: { rope_type: "default", rope_theta: 7 },
    });
    expect(readRope(config, 16)).toMatchObject({ theta: 7, scaling: { type: "linear" } });
  });
});
