import type { Kept } from "./shrink.ts";

/** What the command line asks for. */
export interface SimOptions {
  readonly numSeeds: number;
  readonly firstSeed: number;
  readonly numJobs: number;
  readonly isJson: boolean;
  readonly isTraced: boolean;
  readonly stopsAtFailure: boolean;
  /** Failing seeds are run again with less in them. */
  readonly shrinks: boolean;
  /** Of a single seed; parts that are not named are kept as they are. */
  readonly keep: Partial<Kept> | null;
}

export const HELP = `deno task sim [--seeds N] [--first-seed K] [--jobs J] [--json]

Runs the whole mesh under a virtual clock, once for each seed, with faults drawn from it.

  --seeds N        runs N seeds (100)
  --first-seed K   from K on (0)
  --jobs J         on J cores (all of them)
  --json           prints one JSON object
  --stop           begins no more seeds once one has failed
  --no-shrink      does not look for the least that fails
  --trace          prints what happens; for one seed
  --keep PARTS     runs these parts of one seed: "faults:0,3/requests:2/peers:0,1"`;

/** The command line is wrong. */
export class OptionError extends Error {
  override readonly name = "OptionError";
}

/** Reads the command line. Throws an OptionError. */
export function parseOptions(args: readonly string[], numCores: number): SimOptions {
  const options = {
    numSeeds: 100,
    firstSeed: 0,
    numJobs: numCores,
    isJson: false,
    isTraced: false,
    stopsAtFailure: false,
    shrinks: true,
    keep: null as Partial<Kept> | null,
  };
  const rest = args.flatMap((arg) => {
    const [, flag, value] = /^(--[a-z-]+)=(.*)$/.exec(arg) ?? [];
    return flag === undefined ? [arg] : [flag, value!];
  });
  for (let flag = rest.shift(); flag !== undefined; flag = rest.shift()) {
    switch (flag) {
      case "--seeds":
        options.numSeeds = readCount(flag, rest.shift(), 1);
        break;
      case "--first-seed":
        options.firstSeed = readCount(flag, rest.shift(), 0);
        break;
      case "--jobs":
        options.numJobs = readCount(flag, rest.shift(), 1);
        break;
      case "--json":
        options.isJson = true;
        break;
      case "--trace":
        options.isTraced = true;
        break;
      case "--stop":
        options.stopsAtFailure = true;
        break;
      case "--no-shrink":
        options.shrinks = false;
        break;
      case "--keep":
        options.keep = readKept(rest.shift());
        break;
      default:
        throw new OptionError(`Unknown option "${flag}"\n\n${HELP}`);
    }
  }
  if (options.numSeeds > 1 && (options.isTraced || options.keep !== null)) {
    throw new OptionError('"--trace" and "--keep" are for one seed: add "--seeds 1"');
  }
  return options;
}

/** As `--keep` takes it. */
export function writeKept({ faults, requests, peers }: Kept): string {
  return `faults:${faults}/requests:${requests}/peers:${peers}`;
}

function readCount(flag: string, text: string | undefined, least: number): number {
  const count = /^\d+$/.test(text ?? "") ? Number(text) : NaN;
  if (Number.isSafeInteger(count) && count >= least && count < 2 ** 32) return count;
  throw new OptionError(`"${flag}" takes an integer from ${least}, got "${text ?? ""}"`);
}

function readKept(text: string | undefined): Partial<Kept> {
  const kept: Partial<Record<keyof Kept, readonly number[]>> = {};
  for (const part of (text ?? "").split("/")) {
    const [, name, indices] = /^(faults|requests|peers):([\d,]*)$/.exec(part) ?? [];
    if (name === undefined || indices === undefined) {
      throw new OptionError(
        `"--keep" takes parts like "faults:0,3/requests:2/peers:0,1", got "${text ?? ""}"`,
      );
    }
    kept[name as keyof Kept] = indices === "" ? [] : indices.split(",").map(Number);
  }
  return kept;
}
