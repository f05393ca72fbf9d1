import { expect, test } from "vitest";
import { nastyCorpus } from "./corpus.ts";
import { realTokenizers } from "./real_tokenizers.ts";

const MIB = 1 << 20;
const CHARACTERS = ["a", " ", "é", "中", "🙂", "0", "\n"];

function milliseconds(run: () => void): number {
  const start = performance.now();
  run();
  return performance.now() - start;
}

/** The better of two runs: others use the machine as well. */
function leastMilliseconds(run: () => void): number {
  return Math.min(milliseconds(run), milliseconds(run));
}

for (const { name, load } of realTokenizers()) {
  test(`1 MiB of one character is encoded in linear time: ${name}`, () => {
    const tokenizer = load();
    const times: Record<string, number> = {};
    for (const character of CHARACTERS) {
      const text = (numBytes: number) => character.repeat(numBytes / byteLength(character));
      tokenizer.encode(text(MIB / 8));
      const eighthMs = leastMilliseconds(() => tokenizer.encode(text(MIB / 8)));
      const wholeMs = leastMilliseconds(() => tokenizer.encode(text(MIB)));
      times[JSON.stringify(character)] = Math.round(wholeMs);
      // Linear is 8, quadratic 64. The claim is 1 s on a quiet machine; this one may be busy.
      expect(wholeMs / (eighthMs + 5), `growth for ${JSON.stringify(character)}`).toBeLessThan(30);
      expect(wholeMs, `time for ${JSON.stringify(character)}`).toBeLessThan(8000);
    }
    const mixed = nastyCorpus(8000).join("\n");
    const mixedMs = milliseconds(() => tokenizer.encode(mixed));
    const mibPerSecond = byteLength(mixed) / MIB / (mixedMs / 1000);
    console.log(
      `${name}: 1 MiB of one character in ms ${JSON.stringify(times)}, ` +
        `nasty corpus ${mibPerSecond.toFixed(1)} MiB/s`,
    );
  });

  test(`a tokenizer loads in moderate time: ${name}`, () => {
    const loadMs = milliseconds(load);
    console.log(`${name}: loaded in ${Math.round(loadMs)} ms`);
    expect(loadMs).toBeLessThan(5000);
  });
}

test("10 MiB without a place to cut do not overflow a stack", () => {
  const { load } = realTokenizers()[0]!;
  expect(load().encode("中".repeat((10 * MIB) / 3)).length).toBeGreaterThan(MIB);
});

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
