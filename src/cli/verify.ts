import { join } from "node:path";
import { GOLDEN_FILE, openGoldenCase } from "../golden.ts";
import { FileStore } from "../platform/file_store.ts";
import { systemClock } from "../platform/system.ts";
import { localTarget, verifyCase, type VerifyTarget } from "../verify.ts";
import { type GpuFlags, openGpu } from "./gpu.ts";
import { interruption } from "./interruption.ts";
import { openVerifyMesh } from "./verify_mesh.ts";
import { describeReport } from "./verify_report.ts";

/** The flags of `verify`. */
export interface VerifyFlags extends GpuFlags {
  readonly golden: string;
  readonly stages: number;
  /** Processes to run on, with a stage each; 0 for this one. */
  readonly peers: number;
  readonly case?: readonly string[];
  readonly tolerance: number;
  readonly json?: boolean;
}

/** Runs every case folder of `--golden`; exit code 1 if any fails or there is none. */
export async function verify(flags: VerifyFlags): Promise<number> {
  const names = flags.case ?? await caseNames(flags.golden);
  if (names.length === 0) {
    console.error(`There is no folder with a ${GOLDEN_FILE} in "${flags.golden}"`);
    return 1;
  }
  // Golden logits come from float32: K and V stay f32 unless the user asks otherwise.
  const gpu = { kv: "f32", ...flags } as const;
  if (flags.peers > 0) return await verifyOnPeers(flags, { gpu, names });
  const { context, tuning } = await openGpu(gpu, { isTrusted: false });
  const target = localTarget({ context, tuning, numStages: flags.stages });
  return await runCases(flags, { target, names, isStopped: () => false });
}

async function verifyOnPeers(
  flags: VerifyFlags,
  { gpu, names }: { readonly gpu: GpuFlags; readonly names: readonly string[] },
): Promise<number> {
  const stop = interruption("Ending the peers; press Ctrl+C again to stop at once");
  try {
    const target = await openVerifyMesh(flags.peers, gpu);
    try {
      const exitCode = runCases(flags, { target, names, isStopped: () => stop.isRequested });
      return await Promise.race([exitCode, stop.requested.then(() => 130)]);
    } finally {
      await target.close();
    }
  } finally {
    stop.end();
  }
}

async function runCases(
  { golden, tolerance, json }: VerifyFlags,
  { target, names, isStopped }: {
    readonly target: VerifyTarget;
    readonly names: readonly string[];
    readonly isStopped: () => boolean;
  },
): Promise<number> {
  let hasFailed = false;
  for (const name of names) {
    const report = await verifyCase(
      name,
      { target, tolerance, clock: systemClock },
      () => openGoldenCase(new FileStore(join(golden, name)), name),
    );
    if (isStopped()) return 130;
    hasFailed ||= !report.ok;
    console.log(json ? JSON.stringify(report) : describeReport(report));
  }
  return hasFailed ? 1 : 0;
}

/** Folders of `path` that hold a golden file; a folder that is itself a case counts as one. */
async function caseNames(path: string): Promise<string[]> {
  if (await new FileStore(path).size(GOLDEN_FILE) !== null) return ["."];
  const names: string[] = [];
  for (const entry of await entriesOf(path)) {
    const isCase = await new FileStore(join(path, entry.name)).size(GOLDEN_FILE) !== null;
    if (isCase) names.push(entry.name);
  }
  return names.sort();
}

async function entriesOf(path: string): Promise<Deno.DirEntry[]> {
  try {
    return await Array.fromAsync(Deno.readDir(path));
  } catch (cause) {
    throw new Error(`Cannot read the folder "${path}" of --golden`, { cause });
  }
}
