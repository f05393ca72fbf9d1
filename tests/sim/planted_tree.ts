import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { PlantedBug } from "./planted_bugs.ts";

/** What the simulation is made of. */
const PARTS = ["src", "shaders", "tests/sim", "tests/pipeline", "deno.json", "package.json"];

/** A copy of the project to plant bugs in. */
export class PlantedTree {
  readonly path: string;
  readonly #projectPath: string;

  private constructor(path: string, projectPath: string) {
    this.path = path;
    this.#projectPath = projectPath;
  }

  /** Copies the project at `projectPath`; its packages are linked. */
  static async create(projectPath: string): Promise<PlantedTree> {
    const path = await mkdtemp(join(tmpdir(), "tessera-sim-"));
    for (const part of PARTS) {
      await mkdir(dirname(join(path, part)), { recursive: true });
      await cp(join(projectPath, part), join(path, part), { recursive: true });
    }
    await symlink(join(projectPath, "node_modules"), join(path, "node_modules"));
    return new PlantedTree(path, projectPath);
  }

  /** Plants a bug while `run` does. Throws when it does not fit the file any more. */
  async with<T>({ name, file, find, replace }: PlantedBug, run: () => Promise<T>): Promise<T> {
    const sound = await readFile(join(this.#projectPath, file), "utf8");
    const parts = sound.split(find);
    if (parts.length !== 2) {
      throw new Error(
        `The planted bug "${name}" fits ${parts.length - 1} places of ${file}, not 1`,
      );
    }
    await writeFile(join(this.path, file), parts.join(replace));
    try {
      return await run();
    } finally {
      await writeFile(join(this.path, file), sound);
    }
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true });
  }
}
