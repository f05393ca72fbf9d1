/**
 * Looks at the machine that Tessera is set up on.
 *
 * @module
 */
import type { AptFile } from "./apt_source.ts";
import type { Machine, Need } from "./plan.ts";

/** Which adapters were found. */
export interface AdapterProbe {
  /** By Dawn: the adapters that Tessera wants. */
  readonly hasDawn: boolean;
  /** A GPU in hardware, by Dawn or else by Deno's own WebGPU. */
  readonly hasHardware: boolean;
}

const PROBE_DEADLINE_MS = 60_000;

/** Asks a child process for the adapters. A driver that crashes or hangs counts as none. */
export async function probeAdapter(): Promise<AdapterProbe> {
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-lock", new URL("./probe_adapter.ts", import.meta.url).href],
    env: await quietVulkan(),
    signal: AbortSignal.timeout(PROBE_DEADLINE_MS),
    stdin: "null",
    stderr: "null",
  }).output();
  const lastLine = new TextDecoder().decode(stdout).trim().split("\n").at(-1);
  return code === 0 && lastLine ? JSON.parse(lastLine) : { hasDawn: false, hasHardware: false };
}

/** Describes this machine, of which `missing` is already known. */
export async function describeMachine(
  missing: readonly Need[],
  { hasHardware }: AdapterProbe,
): Promise<Machine> {
  return {
    os: Deno.build.os,
    architecture: Deno.build.arch,
    isRoot: Deno.build.os !== "windows" && Deno.uid() === 0,
    hasSudo: await hasProgram("sudo"),
    hasApt: await hasProgram("apt-get"),
    osRelease: await readOr("/etc/os-release", ""),
    aptFiles: await readAptFiles(),
    ...{ missing, hasHardware },
  };
}

/** Whether `name` is in PATH. */
export async function hasProgram(name: string): Promise<boolean> {
  const isWindows = Deno.build.os === "windows";
  const folders = (Deno.env.get("PATH") ?? "").split(isWindows ? ";" : ":");
  for (const folder of folders) {
    const path = `${folder}/${name}${isWindows ? ".exe" : ""}`;
    const entry = await Deno.stat(path).catch(() => null);
    if (entry?.isFile) return true;
  }
  return false;
}

/** Whether pip can be called in one of the ways in which the default model is fetched. */
export async function hasPip(): Promise<boolean> {
  if (await hasProgram("pip3") || await hasProgram("pip")) return await hasProgram("python3");
  if (!await hasProgram("python3")) return false;
  const { code } = await new Deno.Command("python3", {
    args: ["-m", "pip", "--version"],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).output();
  return code === 0;
}

/** The Vulkan loader complains at each start about machines without a session. */
async function quietVulkan(): Promise<Record<string, string>> {
  if (Deno.build.os !== "linux" || Deno.env.get("XDG_RUNTIME_DIR")) return {};
  const path = `${Deno.env.get("TMPDIR") ?? "/tmp"}/tessera-runtime-${Deno.uid()}`;
  await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  return { XDG_RUNTIME_DIR: path };
}

async function readAptFiles(): Promise<AptFile[]> {
  const folder = "/etc/apt/sources.list.d";
  const paths: string[] = [];
  try {
    for await (const entry of Deno.readDir(folder)) paths.push(`${folder}/${entry.name}`);
  } catch {
    // No such folder: no apt.
  }
  const files: AptFile[] = [];
  for (const path of ["/etc/apt/sources.list", ...paths.sort()]) {
    files.push({ path, text: await readOr(path, "") });
  }
  return files;
}

async function readOr(path: string, otherwise: string): Promise<string> {
  return await Deno.readTextFile(path).catch(() => otherwise);
}
