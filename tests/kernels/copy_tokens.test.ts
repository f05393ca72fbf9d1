import { expect, test } from "vitest";
import { copyTokens } from "../../src/kernels/copy_tokens.ts";
import { packPairs, pairsBytes } from "../../src/kernels/index_pairs.ts";
import { copyTokensReference } from "../reference.ts";
import { openTestGpu, POISON } from "./gpu.ts";
import { Random } from "./random.ts";

const gpu = await openTestGpu();

test.each([0, 1, 2, 63, 64, 65, 200])(
  "copy_tokens() copies %i pairs and nothing else",
  async (n) => {
    const random = new Random(n);
    const size = 256;
    const source = Uint32Array.from({ length: size }, () => random.below(2 ** 32));
    const [froms, tos] = [0, 1].map(() => random.shuffled([...source.keys()]));
    const pairs = Array.from({ length: n }, (_, i) => [froms![i]!, tos![i]!] as const);
    expect(packPairs(pairs).byteLength).toBe(pairsBytes(n));
    // As in a stage: the list's buffer and the workgroups are those of the largest batch.
    const list = new Uint32Array(pairsBytes(size) / 4).fill(7);
    list.set(packPairs(pairs));
    const destination = await gpu.output(size);
    await gpu.run(copyTokens(await gpu.kernels({}), {
      pairs: await gpu.upload(list),
      mostPairs: size,
      source: await gpu.upload(source),
      destination,
    }));
    const expected = new Uint32Array(size).fill(POISON);
    copyTokensReference(expected, { source, pairs });
    expect(await gpu.readWords(destination)).toEqual(expected);
  },
);
