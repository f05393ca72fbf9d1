import { expect, test } from "vitest";
import { mostTiles, sortExperts, TILE_TOKENS } from "../../src/kernels/sort_experts.ts";
import { experts, randomExperts } from "./expert_case.ts";
import { openTestGpu } from "./gpu.ts";
import { Random } from "./random.ts";

const gpu = await openTestGpu();

test.each([[6, 3, 1], [6, 3, 100], [300, 5, 40], [1, 1, 33], [257, 1, 300], [8, 8, 64]])(
  "sort_experts puts each pair of %i experts, %i of them for each of %i tokens, in one tile",
  async (numExperts, numExpertsPerToken, numTokens) => {
    const moe = experts({ numExperts, numExpertsPerToken });
    const chosen = randomExperts(new Random(numTokens), moe, numTokens);
    const pairs = await gpu.output(chosen.length);
    const tiles = await gpu.output(4 * mostTiles(moe, numTokens));
    await gpu.run(sortExperts(await gpu.kernels({ numTokens }), {
      ...{ moe, pairs, tiles },
      experts: await gpu.upload(chosen),
    }));
    const sorted = await gpu.readWords(pairs);
    const cut = await gpu.readWords(tiles);
    const seen: number[] = [];
    for (let at = 0; at < cut.length; at += 4) {
      const [expert, first = 0, count = 0] = cut.slice(at, at + 4);
      expect(count).toBeLessThanOrEqual(TILE_TOKENS);
      const own = sorted.slice(first, first + count);
      for (const pair of own) expect(chosen[pair]).toBe(expert);
      seen.push(...own);
    }
    expect(seen.toSorted((a, b) => a - b)).toEqual([...chosen.keys()]);
    const numNeeded = Array.from(
      { length: numExperts },
      (_, expert) => Math.ceil(chosen.filter((other) => other === expert).length / TILE_TOKENS),
    )
      .reduce((sum, count) => sum + count, 0);
    const numUsed = cut.filter((_, i) => i % 4 === 2).filter((count) => count > 0).length;
    expect(numUsed).toBe(numNeeded);
  },
);
