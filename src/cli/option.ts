import { InvalidArgumentError, Option } from "commander";

/** An option that is also an environment variable: `--kv-tokens` is TESSERA_KV_TOKENS. */
export function option(
  flags: string,
  description: string,
  parse?: (text: string) => unknown,
): Option {
  const made = new Option(flags, description);
  made.env(`TESSERA_${made.name().replaceAll("-", "_").toUpperCase()}`);
  return parse ? made.argParser(parse) : made;
}

/** A flag without a value that is also an environment variable; "", "0" and "false" are off. */
export function switchOption(flags: string, description: string): Option {
  const made = option(flags, description);
  // Left to itself, commander takes every value for on.
  const isOff = ["", "0", "false"].includes(Deno.env.get(made.envVar!) ?? "1");
  return isOff ? new Option(flags, description) : made;
}

/** Reads an integer in [minimum, maximum]. */
export function wholeNumber(
  minimum = 1,
  maximum = Number.MAX_SAFE_INTEGER,
): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? NaN : Number(text);
    if (Number.isSafeInteger(value) && value >= minimum && value <= maximum) return value;
    const range = maximum === Number.MAX_SAFE_INTEGER
      ? `of at least ${minimum}`
      : `from ${minimum} to ${maximum}`;
    throw new InvalidArgumentError(`Use a whole number ${range}`);
  };
}

/** Reads a number of at least 0. */
export function decimal(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value >= 0) return value;
  throw new InvalidArgumentError("Use a number of at least 0");
}
