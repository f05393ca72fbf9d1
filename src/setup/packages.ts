/**
 * The npm packages of this project in node_modules, exactly as deno.lock has them.
 *
 * @module
 */

/** The parts of deno.lock that say which packages are there. */
export interface Lock {
  readonly specifiers: Readonly<Record<string, string>>;
  readonly npm: Readonly<Record<string, LockedPackage>>;
}

interface LockedPackage {
  readonly integrity?: string;
  readonly dependencies?: readonly string[];
  readonly optionalDependencies?: readonly string[];
}

/** The parts of package.json that name packages. */
export interface PackageJson {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/**
 * Installs what is missing with Deno itself, which takes some 15 ms when nothing is. An install with
 * the development packages stays one. Throws a PackagesError.
 */
export async function installPackages(
  { root, withDevelopment }: { root: string; withDevelopment: boolean },
): Promise<void> {
  const packageJson: PackageJson = JSON.parse(await Deno.readTextFile(`${root}/package.json`));
  const names = Object.keys(packageJson.dependencies ?? {});
  const developmentNames = Object.keys(packageJson.devDependencies ?? {});
  if (!await hasAll(root, names)) {
    console.error("Installing npm packages");
    // Deno trusts its notes on node_modules and would not see that a folder was deleted.
    await Deno.remove(`${root}/node_modules/.deno/.setup-cache.bin`).catch(() => {});
  }
  if (withDevelopment || await hasAll(root, developmentNames)) {
    await install(root, []);
  } else {
    await installProduction(root, packageJson);
  }
}

async function installProduction(root: string, packageJson: PackageJson): Promise<void> {
  const lock: Lock = JSON.parse(await Deno.readTextFile(`${root}/deno.lock`));
  const path = await Deno.makeTempFile({ prefix: "tessera-", suffix: ".lock" });
  try {
    await Deno.writeTextFile(path, JSON.stringify(productionLock(lock, packageJson), null, 2));
    await install(root, ["--prod", `--lock=${path}`]);
  } finally {
    await Deno.remove(path);
  }
}

/** The packages cannot be installed; the message has the command to see why. */
export class PackagesError extends Error {
  override readonly name = "PackagesError";
}

/**
 * `lock` with only what the dependencies of `packageJson` reach. Deno installs everything that a lock
 * names, `--prod` or not (2.9.6): without this, every user would download the tests' 350 MB too.
 */
export function productionLock<T extends Lock>(lock: T, packageJson: PackageJson): T {
  const reached = new Set<string>();
  const visit = (key: string): void => {
    const entry = lock.npm[key];
    if (entry === undefined || reached.has(key)) return;
    reached.add(key);
    for (const name of [...entry.dependencies ?? [], ...entry.optionalDependencies ?? []]) {
      for (const other of keysOf(lock, name)) visit(other);
    }
  };
  for (const [name, version] of Object.entries(packageJson.dependencies ?? {})) {
    visit(`${name}@${lock.specifiers[`npm:${name}@${version}`] ?? version}`);
  }
  const isReached = (specifier: string, version: string) =>
    reached.has(`${specifier.slice("npm:".length, specifier.lastIndexOf("@"))}@${version}`);
  return {
    ...lock,
    specifiers: pick(lock.specifiers, ([specifier, version]) => isReached(specifier, version)),
    npm: pick(lock.npm, ([key]) => reached.has(key)),
  };
}

/** A dependency is named without its version where only one is locked. */
function keysOf({ npm }: Lock, name: string): string[] {
  if (npm[name] !== undefined) return [name];
  return Object.keys(npm).filter((key) => key.startsWith(`${name}@`));
}

function pick<T>(
  record: Readonly<Record<string, T>>,
  keep: (entry: [string, T]) => boolean,
): Record<string, T> {
  return Object.fromEntries(Object.entries(record).filter(keep));
}

async function hasAll(root: string, names: readonly string[]): Promise<boolean> {
  const found = await Promise.all(
    names.map((name) =>
      Deno.stat(`${root}/node_modules/${name}/package.json`).then(() => true, () => false)
    ),
  );
  return found.every((has) => has);
}

async function install(root: string, args: readonly string[]): Promise<void> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["install", "--frozen", ...args],
    cwd: root,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
  }).output();
  if (code === 0) return;
  const lines = new TextDecoder().decode(stderr).replace(/\nStack backtrace:[^]*/, "").split("\n")
    .filter((line) => line.trim() !== "" && !/^(Download|Initialize) /.test(line));
  if (lines.some((line) => line.includes("lockfile is out of date"))) {
    throw new PackagesError(
      "deno.lock does not fit package.json: run `deno install` once and keep the deno.lock it writes",
    );
  }
  throw new PackagesError(
    `The npm packages cannot be installed:\n${lines.slice(0, 20).join("\n")}\n` +
      "Check the connection to the npm registry and set up again",
  );
}
