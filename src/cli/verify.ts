import { join } from "node:path";
import { GOLDEN_FILE, openGoldenCase } from "../golden.ts";
import { FileStore } from "../platform/file_store.ts";
import { type CaseReport, verifyCase } from "../verify.ts";
import { type GpuFlags, openGpu } from "./gpu.ts";

/** The flags of `verify`. */
export interface VerifyFlags extends GpuFlags {
  readonly golden: string;
  readonly stages: number;
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
  const { context, tuning } = await openGpu({ kv: "f32", ...flags }, { isTrusted: false });
  let hasFailed = false;
  for (const name of names) {
    const report = await verifyCase(
      name,
      { context, tuning, numStages: flags.stages, tolerance: flags.tolerance },
      () => openGoldenCase(new FileStore(join(flags.golden, name)), name),
    );
    hasFailed ||= !report.ok;
    console.log(flags.json ? JSON.stringify(report) : describe(report));
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

function describe(report: CaseReport): string {
  const outcome = report.ok ? "ok    " : "FAILED";
  return report.error !== undefined
    ? `${outcome} ${report.case}: ${report.error}`
    : `${outcome} ${report.case}: logits within ${report.maxAbsError?.toExponential(2)}, greedy ${
      report.greedyMatch ? "equal" : "differs"
    }, ${report.stages} stage(s) on ${report.adapter}`;
}
