/** The online bench against the server that it starts, with random weights on whatever adapter there is. */
import { afterEach, expect, test, vi } from "vitest";
import { benchOnline } from "../../bench/online.ts";
import { OptionError, parseOptions } from "../../bench/options.ts";

afterEach(() => vi.restoreAllMocks());

test("a measure that does not exist is refused with those that do", async () => {
  const refused = benchOnline(parseOptions(["--only", "load,jump"]), []);
  await expect(refused).rejects.toThrow(OptionError);
  await expect(refused).rejects.toThrow(/no measure "jump": use decode, load, prefix, inter/);
});

test("users of the program's own server are measured, and it ends with the bench", async () => {
  const lines: string[] = [];
  vi.spyOn(console, "log").mockImplementation((line: string) => void lines.push(line));
  const args = [
    ...["--shape", "smollm2-135m", "--json", "--only", "decode,load", "--users", "1,2"],
    ...["--prompt", "4", "--output", "3", "--seconds", "2"],
  ];
  expect(await benchOnline(parseOptions(args), args)).toBe(0);
  const [start, ...levels] = lines.map((line) => JSON.parse(line));
  expect(start).toMatchObject({ bench: "online", measure: "start", seed: 0 });
  expect(start.gb).toBeGreaterThan(0.07);
  expect(levels.map(({ measure, users }) => [measure, users])).toEqual([
    ...[["decode", 1], ["decode", 2], ["load", 1], ["load", 2]],
  ]);
  for (const { failed, tokensPerS, ratio, model } of levels) {
    expect({ failed, model }).toEqual({ failed: 0, model: "smollm2-135m q4_0 (random)" });
    expect(tokensPerS).toBeGreaterThan(0);
    expect(ratio).toBeGreaterThan(0);
  }
});
