import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import type { SamplingParams } from "../../src/core.ts";
import { DEFAULT_SAMPLING } from "../../src/core.ts";
import { hash } from "../pipeline/hash.ts";
import { expectedOutput } from "../pipeline/hash_chain.ts";
import { withoutAmbient } from "./ambient.ts";
import { hash2, hash3 } from "./hash.ts";
import { OptionError, parseOptions } from "./options.ts";
import { PLANTED_BUGS } from "./planted_bugs.ts";
import type { WorldPlan } from "./plan.ts";
import { PlantedTree } from "./planted_tree.ts";
import { Reference } from "./reference.ts";
import { findUnreached } from "./requirements.ts";
import { SimRng } from "./rng.ts";
import { type Kept, shrink } from "./shrink.ts";

const PROJECT = fileURLToPath(new URL("../../", import.meta.url));
const MAX_SEEDS_TO_FIND = 500;

interface Summary {
  readonly seeds: number;
  readonly failures: number;
  readonly faultsFired: number;
  readonly hash: string;
  readonly unreached: readonly string[];
  readonly failed: readonly {
    readonly seed: number;
    readonly invariant: string;
    readonly message: string;
    readonly replay: string;
  }[];
}

/** Runs what `deno task sim` runs, in a process of its own. */
async function sim(args: readonly string[], cwd = PROJECT): Promise<Summary & { code: number }> {
  const command = ["run", "-A", "tests/sim/main.ts", "--json", "--no-shrink", ...args];
  const run = promisify(execFile)(Deno.execPath(), command, { cwd, maxBuffer: 1 << 26 });
  const { stdout, code } = await run.then(
    ({ stdout }) => ({ stdout, code: 0 }),
    (error) => error as { readonly stdout: string; readonly code: number },
  );
  return { ...JSON.parse(stdout) as Summary, code };
}

describe("the simulated mesh", () => {
  test("400 seeds hold all invariants and reach their share of everything", async () => {
    const { seeds, failed, unreached, faultsFired, code } = await sim(["--seeds", "400"]);
    expect({ failed, unreached, code }).toEqual({ failed: [], unreached: [], code: 0 });
    expect(seeds).toBe(400);
    expect(faultsFired).toBeGreaterThan(1000);
  });

  test("the same seeds are the same run, however they are shared out", async () => {
    const first = await sim(["--seeds", "20", "--jobs", "1"]);
    const second = await sim(["--seeds", "20", "--jobs", "2"]);
    expect(second.hash).toBe(first.hash);
    expect((await sim(["--seeds", "20", "--first-seed", "20"])).hash).not.toBe(first.hash);
  });

  test("seeds that once failed hold", async () => {
    const path = new URL("./seeds.json", import.meta.url);
    const saved = JSON.parse(readFileSync(path, "utf8")) as readonly { readonly seed: number }[];
    for (const { seed } of saved) {
      const { failed } = await sim(["--first-seed", `${seed}`, "--seeds", "1"]);
      expect(failed).toEqual([]);
    }
  });
});

describe("planted bugs", async () => {
  const tree = await PlantedTree.create(PROJECT);
  afterAll(() => tree.remove());

  for (const bug of PLANTED_BUGS) {
    test(`"${bug.name}" is found`, async () => {
      const { failures, failed, code } = await tree.with(
        bug,
        () => sim(["--seeds", `${MAX_SEEDS_TO_FIND}`, "--stop"], tree.path),
      );
      expect(failures).toBeGreaterThan(0);
      expect(code).toBe(1);
      const [{ seed, replay, message, invariant }] = failed as [Summary["failed"][number]];
      expect(replay).toBe(`deno task sim --first-seed ${seed} --seeds 1`);
      expect(message.startsWith(invariant)).toBe(true);
    });
  }

  test("one that fits no place any more is an error", async () => {
    const gone = { ...PLANTED_BUGS[0]!, find: "no such line" };
    await expect(tree.with(gone, () => Promise.resolve())).rejects.toThrow("fits 0 places");
  });
});

describe("what the simulation is made of", () => {
  test("the reference is that of the hash chains, token by token", () => {
    const rng = new SimRng(1);
    for (let i = 0; i < 40; i++) {
      const promptTokenIds = Array.from({ length: rng.int(1, 40) }, () => rng.int(0, 49));
      const sampling: SamplingParams = {
        ...DEFAULT_SAMPLING,
        maxTokens: rng.int(1, 30),
        seed: i,
        frequencyPenalty: rng.pick([0, 0.5]),
        stopTokenIds: [rng.int(0, 49)],
      };
      const common = { sampling, maxModelLength: 60, hasState: rng.chance(0.5) };
      const reference = new Reference({ ...common, promptTokenIds, numLayers: 3 });
      const finishReason = reference.finish();
      expect({ finishReason, tokenIds: reference.tokenIds })
        .toEqual(expectedOutput(promptTokenIds, { ...common, numStages: 3 }));
      expect(hash2(i, -i)).toBe(hash(i, -i));
      expect(hash3(i, 2 ** 31 + i, 7)).toBe(hash(i, 2 ** 31 + i, 7));
    }
  });

  test("a fork draws the same, whatever was drawn before", () => {
    const [rng, other] = [new SimRng(5), new SimRng(5)];
    other.uint32();
    expect(rng.fork("a").uint32()).toBe(other.fork("a").uint32());
    expect(rng.fork("a").uint32()).not.toBe(rng.fork("b").uint32());
  });

  test("a failing run is shrunk to what makes it fail", async () => {
    const numbered = (length: number) => Array.from({ length }, (_, i) => i);
    const plan = {
      faults: numbered(13),
      requests: numbered(20),
      peers: numbered(5),
    } as unknown as WorldPlan;
    const fails = (tried: WorldPlan) => {
      const { faults, requests } = tried as unknown as Kept;
      return Promise.resolve(faults.includes(3) && faults.includes(11) && requests.includes(7));
    };
    expect(await shrink(plan, { fails, maxRuns: 300 }))
      .toEqual({ faults: [3, 11], requests: [7], peers: [4] });
  });

  test("what a large batch does not reach often enough is named", () => {
    const unreached = findUnreached(new Map([["fault: sleep", 99], ["end: success", 20]]), 2_000);
    expect(unreached).toContain('"fault: sleep" 99 times instead of 100');
    expect(unreached).toContain('"path: preemption" 0 times instead of 20');
    expect(unreached.join()).not.toContain("end: success");
  });

  test("a run that looks at the computer's clock is told so, and the clock is back after it", async () => {
    await expect(withoutAmbient(() => Promise.resolve(Date.now()))).rejects.toThrow("passed in");
    await expect(withoutAmbient(() => Promise.resolve(Math.random()))).rejects.toThrow("passed in");
    expect(Date.now()).toBeGreaterThan(0);
  });

  test("unknown and wrong options are told apart from those that there are", () => {
    const numCores = 2;
    expect(parseOptions(["--seeds=7", "--first-seed", "3", "--json"], numCores))
      .toMatchObject({ numSeeds: 7, firstSeed: 3, numJobs: 2, isJson: true });
    expect(parseOptions(["--seeds", "1", "--keep", "faults:/peers:0,2"], numCores).keep)
      .toEqual({ faults: [], peers: [0, 2] });
    for (const args of [["--sedes"], ["--seeds", "x"], ["--seeds"], ["--trace"], ["--keep", "a"]]) {
      expect(() => parseOptions(args, numCores)).toThrow(OptionError);
    }
  });
});
