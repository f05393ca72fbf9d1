import { describe, expect, test } from "vitest";
import { OptionError, parseOptions } from "../../bench/options.ts";

describe("parseOptions()", () => {
  test("leaves to the adapter what was not said", () => {
    expect(parseOptions([])).toMatchObject({
      batches: [1, 8, 32],
      promptTokens: null,
      isDeterministic: null,
      isChecked: false,
      repeats: null,
    });
  });

  test("reads lists, formats and the last word on determinism", () => {
    const options = parseOptions([
      ...["--batch", "1, 4", "--weights", "Q4_0,f16", "--shape", "llama-1b", "--layers", "3"],
      ...["--no-deterministic", "--json"],
    ]);
    expect(options).toMatchObject({
      batches: [1, 4],
      weights: ["q4_0", "f16"],
      shape: "llama-1b",
      numLayers: 3,
      isDeterministic: false,
      isJson: true,
    });
  });

  test.each([
    [["--shape", "gpt-9"], /no shape "gpt-9"/],
    [["--weights", "q3"], /no weight format "q3"/],
    [["--batch", "0"], /"--batch" takes integers/],
    [["--model", "a/b", "--shape", "llama-1b"], /exclude each other/],
    [["--fast"], /--fast/],
  ])("refuses %j and says what would do", (args, message) => {
    expect(() => parseOptions(args)).toThrow(OptionError);
    expect(() => parseOptions(args)).toThrow(message);
  });
});
