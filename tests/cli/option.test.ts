import { Command, CommanderError } from "commander";
import { afterEach, expect, test } from "vitest";
import { decimal, option, switchOption, wholeNumber } from "../../src/cli/option.ts";

const VARIABLES = ["TESSERA_TEST_SHARE", "TESSERA_TEST_COUNT"];

afterEach(() => {
  for (const name of VARIABLES) Deno.env.delete(name);
});

function parsed(...args: string[]) {
  return new Command().exitOverride().configureOutput({ writeErr: () => {} })
    .addOption(switchOption("--test-share", "shares"))
    .addOption(option("--test-count <n>", "counts", wholeNumber(1, 9)))
    .addOption(option("--test-ratio <x>", "divides", decimal))
    .parse(args, { from: "user" }).opts();
}

test("a switch is off unless its flag or its variable says otherwise", () => {
  expect(parsed().testShare).toBe(undefined);
  expect(parsed("--test-share").testShare).toBe(true);
  for (const value of ["1", "true", "yes"]) {
    Deno.env.set("TESSERA_TEST_SHARE", value);
    expect(parsed().testShare, value).toBe(true);
  }
  for (const value of ["", "0", "false"]) {
    Deno.env.set("TESSERA_TEST_SHARE", value);
    expect(parsed().testShare, value).toBe(undefined);
    expect(parsed("--test-share").testShare, value).toBe(true);
  }
});

test("a value comes from the flag, else from the variable", () => {
  Deno.env.set("TESSERA_TEST_COUNT", "3");
  expect(parsed().testCount).toBe(3);
  expect(parsed("--test-count", "5").testCount).toBe(5);
  expect(parsed("--test-ratio", "0.5").testRatio).toBe(0.5);
});

test("what is no number, or out of range, is refused with what would do", () => {
  for (const value of ["0", "10", "1.5", "x", ""]) {
    expect(() => parsed("--test-count", value), value).toThrow(CommanderError);
  }
  expect(() => parsed("--test-count", "0")).toThrow("Use a whole number from 1 to 9");
  expect(() => wholeNumber(0)("")).toThrow("Use a whole number of at least 0");
  for (const value of ["-1", "x", "", "Infinity"]) {
    expect(() => parsed("--test-ratio", value), value).toThrow("Use a number of at least 0");
  }
});
