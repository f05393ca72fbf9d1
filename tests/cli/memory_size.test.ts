import { InvalidArgumentError } from "commander";
import { expect, test } from "vitest";
import { memorySize } from "../../src/cli/memory_size.ts";

test("sizes are read with decimal, binary and short units", () => {
  const sizes = {
    "4GiB": 4 * 2 ** 30,
    "500 MB": 500e6,
    "6g": 6 * 2 ** 30,
    " 1.5 gib ": 1.5 * 2 ** 30,
    "512M": 512 * 2 ** 20,
    "2048k": 2 ** 21,
    "1048576": 2 ** 20,
    "0.001GiB": Math.floor(0.001 * 2 ** 30),
  };
  for (const [text, bytes] of Object.entries(sizes)) expect(memorySize(text), text).toBe(bytes);
});

test("what is no size, or too small to be one, is refused with examples", () => {
  const texts = ["", "GB", "-4GB", "4 GB 2", "1e9", "4TBit", "1023k", "1048575", "0", "Infinity"];
  for (const text of [...texts, "9007199254740993", "5constructor", "4.GB", "٤GB"]) {
    expect(() => memorySize(text), text).toThrow(InvalidArgumentError);
    expect(() => memorySize(text)).toThrow(
      'Use a size of at least 1 MiB, such as "4GiB" or "500MB"',
    );
  }
});
