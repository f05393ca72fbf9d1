/**
 * What ARCHITECTURE.md says of adding a model is short, and true: a llama with another name runs in
 * a copy of the sources that has one file and one row more.
 */
import { cp, mkdtemp, readFile, realpath, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { systemClock } from "../src/platform/system.ts";

/** As the section's first step has it. Nothing else of the sources knows of it. */
const FILE = `
import type { Architecture } from "./architecture.ts";
import { ConfigReader } from "./config_reader.ts";
import { denseLayer, denseLayerTensors, denseScratchColumns } from "./dense.ts";
import { readDenseConfig } from "./dense_config.ts";

export const renamed: Architecture = {
  modelType: "renamed",
  readConfig: (hf) =>
    readDenseConfig(new ConfigReader(hf), {
      modelType: "renamed",
      numKvHeads: null,
      headDim: null,
      maxPositions: 2048,
      bosTokenId: 1,
      eosTokenIds: [2],
    }),
  layerTensors: denseLayerTensors,
  scratchColumns: denseScratchColumns,
  decoderLayer: denseLayer,
};
`;
const IMPORT = 'import { renamed } from "./renamed.ts";\n';
const TABLE = "const ARCHITECTURES: Readonly<Record<string, Architecture>> = {\n";
const ROW = "  renamed,\n";

const copy = await mkdtemp(join(tmpdir(), "tessera-add-model-"));
afterAll(() => rm(copy, { recursive: true }));

test("ARCHITECTURE.md tells it in at most 25 lines, by files that exist", async () => {
  const text = await readFile("ARCHITECTURE.md", "utf8");
  const [, section] = /^(\*\*Add a model\.\*\*[^]*?)\n+(?=\*\*Add a )/m.exec(text) ?? [];
  expect(section!.split("\n").length).toBeLessThanOrEqual(25);
  expect(section).toContain("One row in `src/models/registry.ts`");
  const paths = [...section!.matchAll(/`([\w/]+\.(?:ts|py))`/g)].map(([, path]) => path!)
    .filter((path) => path !== "src/models/foo.ts");
  expect(paths.length).toBeGreaterThan(5);
  for (const path of paths) {
    const isThere = stat(path.includes("/") ? path : `src/models/${path}`);
    expect((await isThere).isFile(), path).toBe(true);
  }
});

test("a renamed llama runs after one file and one row more", async () => {
  for (const name of ["src", "shaders", "signaling", "web", "deno.json", "package.json"]) {
    await cp(name, join(copy, name), { recursive: true });
  }
  await symlink(await realpath("node_modules"), join(copy, "node_modules"));
  const golden = join(copy, "golden", "renamed");
  await cp("tests/golden/llama", golden, { recursive: true });
  const config = JSON.parse(await readFile(join(golden, "config.json"), "utf8"));
  config.model_type = "renamed";
  config.architectures = ["RenamedForCausalLM"];
  await writeFile(join(golden, "config.json"), JSON.stringify(config));

  expect(await verify()).toMatchObject({
    ok: false,
    error: expect.stringContaining('"renamed" is not supported'),
  });

  await writeFile(join(copy, "src/models/renamed.ts"), FILE);
  const registry = join(copy, "src/models/registry.ts");
  const before = await readFile(registry, "utf8");
  expect(before.split(TABLE)).toHaveLength(2);
  await writeFile(registry, IMPORT + before.replace(TABLE, TABLE + ROW));
  await deno("check", "src/models/registry.ts");

  expect(await verify()).toMatchObject({
    ...{ case: "renamed", ok: true, greedyMatch: true, fault: null, stages: 2 },
  });
});

/** The report of `verify` in the copy. */
async function verify(): Promise<Record<string, unknown>> {
  const report = await deno(
    ...["run", "-A", "--no-lock", "src/cli.ts", "verify"],
    ...["--golden", "golden", "--stages", "2", "--json"],
  );
  return JSON.parse(report);
}

/** What Deno writes that runs in the copy, a process of its own. */
async function deno(...args: readonly string[]): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    ...{ args: [...args], cwd: copy, stdout: "piped", stderr: "piped" },
  }).spawn();
  const deadline = new AbortController();
  systemClock.sleep(60_000, deadline.signal).then(() => child.kill("SIGKILL"), () => {});
  const { stdout, stderr, code } = await child.output();
  deadline.abort();
  const written = new TextDecoder().decode(stdout).trim();
  // A case that fails is 1, too.
  if (code !== 0 && written === "") throw new Error(new TextDecoder().decode(stderr));
  return written;
}
