/**
 * What a machine lacks and what would change that. Pure: the machine comes in as a description, the
 * commands go out as text.
 *
 * @module
 */
import {
  type AptFile,
  backportsFile,
  type DebianTarget,
  findMainSource,
  hasBackports,
  parseAptFile,
} from "./apt_source.ts";

/** What can be missing from the system. */
export type Need = "adapter" | "chromium" | "pip";

/** A machine, as far as setting up needs to know it. */
export interface Machine {
  /** As Deno names them: linux, darwin, windows; x86_64, aarch64. */
  readonly os: string;
  readonly architecture: string;
  readonly isRoot: boolean;
  readonly hasSudo: boolean;
  readonly hasApt: boolean;
  /** Text of /etc/os-release, empty where there is none. */
  readonly osRelease: string;
  /** apt's configuration of sources, in the order in which apt reads it. */
  readonly aptFiles: readonly AptFile[];
  readonly missing: readonly Need[];
  /** A GPU in hardware works: then nothing is installed. */
  readonly hasHardware: boolean;
}

/** One thing to do as root. */
export type Step =
  | { readonly kind: "write"; readonly file: AptFile }
  | { readonly kind: "command"; readonly command: readonly string[] };

/** What to do about a machine. */
export interface Plan {
  /** Empty when nothing helps or nothing is needed. */
  readonly steps: readonly Step[];
  /** The steps may be taken here and now; otherwise they are for the user. */
  readonly mayRun: boolean;
  /** What is missing that no step brings; in words for the user. */
  readonly notes: readonly string[];
  /** What the steps do not bring here and now. */
  readonly unmet: readonly Need[];
}

/** The oldest releases whose own Mesa Dawn takes; llvmpipe needs Mesa 25 or so. */
const DEBIAN_WITH_MESA = 13;
const DEBIAN_WITH_BACKPORTS = 12;
const UBUNTU_WITH_MESA = 24.04;

const ADAPTER_PACKAGES = ["mesa-vulkan-drivers", "libvulkan1"] as const;
const BY_HAND = {
  adapter: "No WebGPU adapter was found: install a Vulkan driver for the GPU, " +
    "or Mesa 25 or later with its software driver (llvmpipe)",
  chromium: "Chromium was not found: install it as `chromium` for the tests in a browser",
  pip: "pip was not found: install python3 and pip, from which the default model comes",
} as const satisfies Record<Need, string>;

/** What `machine` needs. */
export function planSetup(machine: Machine): Plan {
  const { missing, isRoot } = machine;
  const packages = machine.hasHardware ? null : systemPackages(machine);
  if (packages === null) {
    return {
      steps: [],
      mayRun: false,
      notes: missing.map((need) => BY_HAND[need]),
      unmet: missing,
    };
  }
  return { ...packages, mayRun: isRoot, unmet: isRoot ? packages.unmet : missing };
}

/** A step as a line for a shell; `sudo` in front where the user is not root. */
export function showStep(step: Step, { isRoot, hasSudo }: Machine): string {
  const sudo = isRoot || !hasSudo ? "" : "sudo ";
  if (step.kind === "command") return `${sudo}${step.command.map(quote).join(" ")}`;
  const { path, text } = step.file;
  const lines = text.trimEnd().split("\n").map(quote).join(" ");
  return `printf '%s\\n' ${lines} | ${sudo}tee ${quote(path)}`;
}

/** Null where we do not know the system's packages. */
function systemPackages(machine: Machine): Omit<Plan, "mayRun"> | null {
  const release = readOsRelease(machine.osRelease);
  if (machine.os !== "linux" || !machine.hasApt) return null;
  if (release.id !== "debian" && release.id !== "ubuntu") return null;

  const notes: string[] = [];
  const unmet: Need[] = [];
  const writes: Step[] = [];
  const installs: Step[] = [];
  const plain: string[] = [];
  const needs = new Set(machine.missing);
  if (needs.has("adapter")) {
    const adapter = adapterPackages(machine, release);
    if (typeof adapter === "string") {
      notes.push(adapter);
      unmet.push("adapter");
    } else {
      writes.push(...adapter.writes);
      installs.push(aptInstall(ADAPTER_PACKAGES, adapter.suite));
    }
  }
  if (needs.has("pip")) plain.push("python3", "python3-pip");
  if (needs.has("chromium")) {
    if (release.id === "debian") {
      plain.push("chromium");
    } else {
      notes.push(`${BY_HAND.chromium}; ${release.name} has it only as a snap`);
      unmet.push("chromium");
    }
  }
  if (plain.length > 0) installs.push(aptInstall(plain, null));
  if (installs.length === 0) return { steps: [], notes, unmet };
  return { steps: [...writes, aptUpdate(), ...installs], notes, unmet };
}

/** Where the software adapter comes from, or why it cannot come from this system. */
function adapterPackages(
  machine: Machine,
  release: OsRelease,
): { readonly writes: readonly Step[]; readonly suite: string | null } | string {
  const tooOld = `${BY_HAND.adapter}. That of ${release.name} is too old`;
  if (release.id === "ubuntu") {
    return release.version >= UBUNTU_WITH_MESA ? { writes: [], suite: null } : tooOld;
  }
  // Testing and unstable have no number.
  if (!(release.version < DEBIAN_WITH_MESA)) return { writes: [], suite: null };
  if (release.version < DEBIAN_WITH_BACKPORTS || release.codename === "") return tooOld;

  const target: DebianTarget = {
    codename: release.codename,
    architecture: DEBIAN_ARCHITECTURES[machine.architecture] ?? machine.architecture,
  };
  const suite = `${target.codename}-backports`;
  const sources = machine.aptFiles.flatMap(parseAptFile);
  if (hasBackports(sources, target)) return { writes: [], suite };
  const main = findMainSource(sources, target);
  if (main === null) {
    return `${BY_HAND.adapter}. It is in "${suite}", but apt has no source of ` +
      `"${target.codename} main" to derive that one from: add "${suite}" and set up again`;
  }
  return { writes: [{ kind: "write", file: backportsFile(main, target.codename) }], suite };
}

const DEBIAN_ARCHITECTURES: Readonly<Record<string, string>> = {
  x86_64: "amd64",
  aarch64: "arm64",
};

interface OsRelease {
  readonly id: string;
  /** In words, for messages. */
  readonly name: string;
  /** NaN where the release has no number. */
  readonly version: number;
  readonly codename: string;
}

function readOsRelease(text: string): OsRelease {
  const get = (name: string) =>
    new RegExp(`^${name}=["']?([^"'\\n]*)`, "m").exec(text)?.[1]?.trim() ?? "";
  return {
    id: get("ID"),
    name: get("PRETTY_NAME") || get("ID"),
    version: Number.parseFloat(get("VERSION_ID")),
    codename: get("VERSION_CODENAME"),
  };
}

/** Someone else's apt run is waited for. */
const LOCK = ["-o", "DPkg::Lock::Timeout=120"] as const;

function aptUpdate(): Step {
  return { kind: "command", command: ["apt-get", ...LOCK, "update"] };
}

function aptInstall(packages: readonly string[], suite: string | null): Step {
  const from = suite === null ? [] : ["-t", suite];
  return {
    kind: "command",
    command: ["apt-get", ...LOCK, "install", "-y", "--no-install-recommends", ...from, ...packages],
  };
}

function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
