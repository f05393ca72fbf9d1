import { describe, expect, test } from "vitest";
import { f32Literal } from "../../src/gpu/f32_literal.ts";
import { type Constants, preprocess } from "../../src/gpu/preprocess.ts";

function expand(
  source: string,
  constants: Constants = {},
  includes: Readonly<Record<string, string>> = {},
): string[] {
  const text = preprocess({ name: "main.wgsl", source }, constants, includes);
  return text.split("\n").filter((line) => line !== "");
}

describe("preprocess() writes constants:", () => {
  test("numbers as u32, f32 literals as they are, the rest not at all", () => {
    expect(expand("fn f() {}", { COLS: 576, EPS: "1e-6f", ON: true, FORMAT: "q4_0" }))
      .toEqual(["const COLS = 576u;", "const EPS = 1e-6f;", "fn f() {}"]);
  });

  test.each([-1, 0.5, 2 ** 32, NaN])("%d is no constant", (value) => {
    expect(() => expand("", { COLS: value })).toThrow(RangeError);
    expect(() => expand("", { COLS: value })).toThrow("COLS");
  });

  test("f32Literal() rounds to f32, and what it writes is a constant", () => {
    for (const value of [0, 1, -2.5, 1e-6, 1 / 3, 1e21, -3.4e38, 1e-40]) {
      const literal = f32Literal(value);
      expect(Number(literal.slice(0, -1))).toBe(Math.fround(value));
      expect(expand("", { VALUE: literal })).toEqual([`const VALUE = ${literal};`]);
    }
    expect(() => f32Literal(NaN)).toThrow(RangeError);
    expect(() => f32Literal(1e39)).toThrow(RangeError);
  });
});

describe("preprocess() decides #if", () => {
  test.each([
    [{ A: true, B: true }, ["a", "ab", "after"]],
    [{ A: true, B: false }, ["a", "a not b", "after"]],
    [{ A: false, B: true }, ["b", "after"]],
    [{ A: false, B: false }, ["neither", "after"]],
  ])("with nesting, #elif and #else: %o", (constants, expected) => {
    const source =
      "#if A\na\n  #if B\nab\n  #else\na not b\n  #endif\n#elif B\nb\n#else\nneither\n#endif\nafter";
    expect(expand(source, constants)).toEqual(expected);
  });

  test("takes only the first branch that holds", () => {
    expect(expand("#if A\none\n#elif A\ntwo\n#elif A\nthree\n#else\nfour\n#endif", { A: true }))
      .toEqual(["one"]);
  });

  test.each([
    ["LANES == 1", true],
    ["LANES != 1", false],
    ["LANES == 8", false],
    ["FORMAT == q4_0", true],
    ["FORMAT != q6_k", true],
    ["ON == true", true],
    ["!ON", false],
    ["!OFF", true],
    ["ZERO", false],
    ["LANES", true],
  ])("%s", (condition, holds) => {
    const constants = { LANES: 1, FORMAT: "q4_0", ON: true, OFF: false, ZERO: 0 };
    const lines = expand(`#if ${condition}\nyes\n#else\nno\n#endif`, constants);
    expect(lines.at(-1)).toBe(holds ? "yes" : "no");
  });

  test("reads neither conditions nor includes in a branch that is off", () => {
    const source = '#if OFF\n#if UNKNOWN\n#endif\n#include "missing.wgsl"\n#endif\nrest';
    expect(expand(source, { OFF: false })).toEqual(["rest"]);
  });
});

describe("preprocess() includes", () => {
  test("a file, in its place, with the same constants", () => {
    const includes = { "part.wgsl": "#if ON\ninner\n#endif" };
    expect(expand('before\n#include "part.wgsl"\nafter', { ON: true }, includes))
      .toEqual(["before", "inner", "after"]);
  });

  test("a file whose name has a constant in it", () => {
    const includes = { "weight_q4_0.wgsl": "q4_0", "weight_f16.wgsl": "f16" };
    expect(expand('#include "weight_${FORMAT}.wgsl"', { FORMAT: "q4_0" }, includes))
      .toEqual(["q4_0"]);
  });

  test("with enable lines first, once", () => {
    const includes = { "part.wgsl": "enable f16;\nenable subgroups;" };
    expect(expand('const A = 1;\nenable f16;\n#include "part.wgsl"', { B: 2 }, includes))
      .toEqual(["enable f16;", "enable subgroups;", "const B = 2u;", "const A = 1;"]);
  });

  test("and ends when files include each other", () => {
    expect(() => expand('#include "a.wgsl"', {}, { "a.wgsl": '#include "a.wgsl"' }))
      .toThrow("Includes nest too deeply");
  });
});

test.each([
  ["\n#if MISSING\n#endif", 'main.wgsl:2: unknown constant "MISSING"'],
  ["\n\n#if A B\n#endif", 'main.wgsl:3: cannot read condition "A B"'],
  ['#include "none.wgsl"', 'main.wgsl:1: no include named "none.wgsl"'],
  ['\n#include "w_${F}.wgsl"', 'main.wgsl:2: unknown constant "F"'],
  ['\n#include "bad.wgsl"', 'bad.wgsl:3: unexpected "#define"'],
  ["a\n#endif", 'main.wgsl:2: unexpected "#endif"'],
  ["#else\n#endif", 'main.wgsl:1: unexpected "#else"'],
  ["#if ON\n", 'main.wgsl: an "#if" has no "#endif"'],
])("preprocess() names file and line of a mistake: %j", (source, message) => {
  const includes = { "bad.wgsl": "fine\nfine\n#define X" };
  expect(() => expand(source, { ON: true }, includes)).toThrow(message);
});
