import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

/**
 * Who may import whom. A room is a folder of src, or a file in src itself; every room may import
 * itself. "x types" allows `import type` only. Packages stand with their names.
 */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  "core.ts": [],
  "version.ts": [],
  // platform.ts and store_key.ts: interfaces and the rules of their keys, no runtime.
  "platform.ts": [],
  platform: ["platform.ts", "webgpu", "node-datachannel", "ws"],

  formats: ["core.ts", "platform.ts types"],
  gpu: ["core.ts", "platform.ts types"],
  mesh: ["core.ts", "platform.ts types", "simple-peer", "zod"],
  tokenizer: [
    ...["core.ts", "platform.ts types"],
    ...["@huggingface/jinja", "@huggingface/tokenizers"],
  ],
  scheduler: ["core.ts", "platform.ts types"],

  kernels: ["shaders", "gpu", "core.ts", "platform.ts types"],
  models: ["kernels", "gpu types", "core.ts"],
  weights: ["formats", "core.ts", "platform.ts", "zod"],
  stage: ["models", "kernels", "gpu", "weights", "formats", "core.ts", "platform.ts types"],

  pipeline: ["stage", "mesh", "core.ts", "platform.ts types"],
  "engine.ts": ["pipeline", "scheduler", "stage types", "core.ts", "platform.ts types"],
  server: [
    ...["engine.ts types", "cluster types", "tokenizer", "core.ts", "platform.ts types"],
    ...["hono", "zod"],
  ],

  // Roles and the checks of a whole model: anything above, and the platform as an argument.
  "model_text.ts": ["tokenizer", "server", "weights", "formats", "core.ts", "platform.ts types"],
  "local_pipeline.ts": [
    ...["pipeline", "stage", "models", "kernels", "gpu", "weights", "core.ts"],
  ],
  "golden.ts": ["weights", "formats", "core.ts", "platform.ts types"],
  "layer_check.ts": ["golden.ts types", "stage types", "core.ts"],
  "verify.ts": [
    ...[
      "golden.ts",
      "layer_check.ts",
      "local_pipeline.ts",
      "engine.ts",
      "pipeline",
      "stage",
      "models",
      "kernels",
      "gpu",
      "weights",
    ],
    ...["scheduler", "formats", "core.ts", "platform.ts types"],
  ],
  // The two roles, and what they are made of.
  cluster: [
    ...["engine.ts types", "scheduler types", "pipeline", "stage", "models", "weights", "mesh"],
    ...["core.ts", "platform.ts types", "uqr"],
  ],
  peer: [
    ...["pipeline", "stage", "models", "weights", "mesh", "core.ts", "platform.ts types"],
  ],
  "coordinator.ts": [
    ...["cluster", "model_text.ts", "server", "engine.ts", "pipeline", "stage", "models"],
    ...["weights", "mesh", "core.ts", "platform.ts types"],
  ],

  // The edges of the program: the only importers of platform/{browser,deno,node}.ts.
  "mod.ts": ["*"],
  "cli.ts": ["*"],
  cli: ["*"],
  "setup.ts": ["setup", "weights"],
  setup: ["platform"],
};

/** Rooms that may name a runtime. */
const RUNTIME_ROOMS: ReadonlySet<string> = new Set([
  ...["platform", "cli.ts", "cli", "setup.ts", "setup"],
]);

/** Rooms that run under the simulator's clock: time, chance and network come in as arguments. */
const SIMULATED_ROOMS: ReadonlySet<string> = new Set([
  ...["scheduler", "engine.ts", "pipeline", "mesh", "cluster", "peer", "coordinator.ts"],
]);

const RUNTIME_NAMES = /(?<![.\w])(Deno|process|Bun|navigator)\s*\??\.|\bglobalThis\.(Deno|Bun)\b/;
const AMBIENT_CALLS =
  /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b|(?<![.\w])(setTimeout|setInterval|fetch)\(|\bMath\.random\b|(?<![.#\w])crypto\./;

describe("imports of src", () => {
  const src = fileURLToPath(new URL("../src/", import.meta.url));
  const files = readTree(src);

  it("go only where the table allows, in no circle, and name no runtime or clock", () => {
    expect(files.size).toBeGreaterThan(100);
    expect(problemsOf(files)).toEqual([]);
  });

  it("the table names no room that is gone", () => {
    const rooms = new Set([...files.keys()].map(roomOf));
    expect(Object.keys(ALLOWED).filter((room) => !rooms.has(room))).toEqual([]);
  });
});

describe("the check of imports", () => {
  it("reports an edge that is not allowed, however it is written", () => {
    expect(check({ "scheduler/a.ts": 'import { x } from "../gpu/b.ts";', "gpu/b.ts": "" }))
      .toEqual(['scheduler/a.ts: "scheduler" may not import "gpu" (../gpu/b.ts)']);
    const spellings = [
      'import {\n  x,\n} from "../gpu/b.ts";',
      'export { x } from "../gpu/b.ts";',
      'export * from "../gpu/b.ts";',
      'import "../gpu/b.ts";',
      'const b = await import("../gpu/b.ts");',
      "import type { X } from '../gpu/b.ts';",
      'import * as b from "../gpu/b.ts"; // fine?',
    ];
    for (const text of spellings) {
      expect(check({ "scheduler/a.ts": text, "gpu/b.ts": "" }), text).toHaveLength(1);
    }
  });

  it("passes over comments and strings, and allows what the table allows", () => {
    const text = '// import { x } from "../gpu/b.ts";\n/* import "../gpu/b.ts"; Deno.exit() */\n' +
      'import { y } from "../core.ts";\nconst url = "https://a"; // Date.now()\nf("Deno.exit(1)");';
    expect(check({ "scheduler/a.ts": text, "core.ts": "" })).toEqual([]);
  });

  it("tells types from values where only types may be imported", () => {
    const files = (text: string) => ({ "models/a.ts": text, "gpu/b.ts": "" });
    expect(check(files('import type { X } from "../gpu/b.ts";'))).toEqual([]);
    expect(check(files('import { type X, type Y } from "../gpu/b.ts";'))).toEqual([]);
    expect(check(files('import { type X, y } from "../gpu/b.ts";'))).toEqual([
      'models/a.ts: "models" may import only types of "gpu" (../gpu/b.ts)',
    ]);
  });

  it("reports a circle of files once, with its way round", () => {
    expect(check({
      "gpu/a.ts": 'import { b } from "./b.ts";',
      "gpu/b.ts": 'import { c } from "./c.ts";',
      "gpu/c.ts": 'import { a } from "./a.ts";',
      "gpu/d.ts": 'import { a } from "./a.ts";',
    })).toEqual(["gpu/a.ts -> gpu/b.ts -> gpu/c.ts -> gpu/a.ts: a circle of imports"]);
  });

  it("reports packages, runtimes and clocks where they do not belong", () => {
    expect(check({ "gpu/a.ts": 'import { create } from "webgpu";' })).toHaveLength(1);
    expect(check({ "weights/a.ts": 'import { open } from "node:fs";' })).toHaveLength(1);
    expect(check({ "platform/deno.ts": 'import { open } from "node:fs"; Deno.exit();' }))
      .toEqual([]);
    for (const text of ["Deno.exit()", "process.env.X", "await navigator.gpu?.x", "Bun.file()"]) {
      expect(check({ "weights/a.ts": text }), text).toHaveLength(1);
    }
    for (const call of ["Date.now()", "setTimeout(f, 1)", "fetch(url)", "crypto.randomUUID()"]) {
      expect(check({ "scheduler/a.ts": call }), call).toHaveLength(1);
      expect(check({ "weights/a.ts": call }), call).toEqual([]);
    }
    expect(check({ "pipeline/a.ts": "await server.fetch(request)" })).toEqual([]);
  });

  it("reports a new room until the table has it", () => {
    expect(check({ "utils/a.ts": "" })).toEqual(['utils/a.ts: "utils" is no room of the table']);
  });

  function check(files: Readonly<Record<string, string>>): string[] {
    return problemsOf(new Map(Object.entries(files)));
  }
});

interface Import {
  readonly specifier: string;
  readonly isTypeOnly: boolean;
}

/** What is wrong with a tree of files (path below src to text), one line a problem. */
function problemsOf(files: ReadonlyMap<string, string>): string[] {
  const problems: string[] = [];
  const edges = new Map<string, string[]>();
  for (const [path, text] of files) {
    const room = roomOf(path);
    const allowed = ALLOWED[room];
    if (!allowed) {
      problems.push(`${path}: "${room}" is no room of the table`);
      continue;
    }
    const targets: string[] = [];
    for (const { specifier, isTypeOnly } of importsOf(text)) {
      const isFile = specifier.startsWith(".");
      const target = isFile ? join(dirname(path), specifier) : specifier;
      const other = isFile ? roomOf(target) : packageOf(specifier);
      if (isFile && files.has(target)) targets.push(target);
      if (other === room || allowed.includes(other) || allowed.includes("*")) continue;
      if (other === "node:" && RUNTIME_ROOMS.has(room)) continue;
      const isForTypes = allowed.includes(`${other} types`);
      if (isForTypes && isTypeOnly) continue;
      const may = isForTypes ? "may import only types of" : "may not import";
      problems.push(`${path}: "${room}" ${may} "${other}" (${specifier})`);
    }
    edges.set(path, targets);
    const code = withoutStrings(withoutComments(text));
    const runtime = RUNTIME_ROOMS.has(room) ? null : RUNTIME_NAMES.exec(code);
    if (runtime) problems.push(`${path}: names a runtime outside platform ("${runtime[0]}")`);
    const ambient = SIMULATED_ROOMS.has(room) ? AMBIENT_CALLS.exec(code) : null;
    if (ambient) problems.push(`${path}: must get passed in what "${ambient[0]}" gives`);
  }
  return [...problems, ...circlesOf(edges)];
}

/** The first folder below src, or the file there. Interfaces of the platform are a room apart. */
function roomOf(path: string): string {
  if (path === "platform/platform.ts" || path === "platform/store_key.ts") return "platform.ts";
  if (path.startsWith("../")) return path.split("/")[1] ?? path;
  return path.split("/")[0] ?? path;
}

function packageOf(specifier: string): string {
  if (specifier.startsWith("node:")) return "node:";
  return specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
}

const IMPORT =
  /(?<![.\w])(?:(?:import|export)\s+(type\s+)?((?:[\w$]+\s*,?\s*)?(?:\*(?:\s*as\s+[\w$]+)?|\{[^}]*\})?)\s*from\s*|import\s*\(?\s*)["']([^"'\n]+)["']/g;

function importsOf(text: string): Import[] {
  return [...withoutComments(text).matchAll(IMPORT)].map((match) => {
    const [, type, clause = "", specifier = ""] = match;
    const names = /^\{([^}]*)\}$/.exec(clause.trim())?.[1]?.split(",").map((name) => name.trim());
    const areTypes = names?.filter((name) => name !== "").every((name) => name.startsWith("type "));
    return { specifier, isTypeOnly: type !== undefined || areTypes === true };
  });
}

const STRING = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g;

function withoutComments(text: string): string {
  const stringOrComment = new RegExp(`(${STRING.source})|/\\*[^]*?\\*/|//[^\\n]*`, "g");
  return text.replace(stringOrComment, (_, string: string | undefined) => string ?? " ");
}

function withoutStrings(text: string): string {
  return text.replace(STRING, '""');
}

/** Each circle that a depth-first walk closes. */
function circlesOf(edges: ReadonlyMap<string, readonly string[]>): string[] {
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, way: readonly string[]): void => {
    const start = way.indexOf(path);
    if (start >= 0) {
      circles.push(`${[...way.slice(start), path].join(" -> ")}: a circle of imports`);
    }
    if (start >= 0 || done.has(path)) return;
    for (const target of edges.get(path) ?? []) visit(target, [...way, path]);
    done.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return circles;
}

function readTree(root: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/\.tsx?$/.test(entry.name) || entry.name.endsWith(".d.ts")) continue;
    const path = join(entry.parentPath, entry.name);
    files.set(relative(root, path).replaceAll("\\", "/"), readFileSync(path, "utf8"));
  }
  return files;
}
