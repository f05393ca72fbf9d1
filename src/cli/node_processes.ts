import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { GpuFlags } from "./gpu.ts";

/** How the processes lend the GPU. */
export interface NodeProcessesOptions {
  readonly count: number;
  /** A join link. */
  readonly link: string;
  readonly gpu: GpuFlags;
}

/** How long a process may take to say goodbye. */
const GOODBYE_MS = 5_000;
/** Of what a process said last, kept to explain its end; in characters. */
const KEPT_TEXT = 2_000;

/** Processes that run `node` on this machine, each with a cache of its own. */
export class NodeProcesses {
  /** Resolves with the reason when one of them ends before `close()`. */
  readonly lost: Promise<Error>;
  readonly #folder: string;
  readonly #children: readonly Deno.ChildProcess[];

  private constructor(folder: string, children: readonly Deno.ChildProcess[]) {
    this.#folder = folder;
    this.#children = children;
    this.lost = Promise.race(children.map(explainEnd));
  }

  static async start({ count, link, gpu }: NodeProcessesOptions): Promise<NodeProcesses> {
    const folder = await Deno.makeTempDir({ prefix: "tessera-nodes-" });
    const program = fileURLToPath(new URL("../cli.ts", import.meta.url));
    const children = Array.from({ length: count }, (_, i) => {
      const name = `Node ${i + 1}`;
      return new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "-A", "--no-lock", program, "node", "--name", name],
          ...gpuArguments(gpu),
          "--checked",
        ],
        // Arguments can be read by everyone on the machine.
        env: { TESSERA_CACHE: join(folder, String(i)), TESSERA_JOIN: link },
        stdin: "null",
        stdout: "null",
        stderr: "piped",
      }).spawn();
    });
    return new NodeProcesses(folder, children);
  }

  /** Ends all of them, if need be by force. */
  async close(): Promise<void> {
    for (const child of this.#children) send(child, "SIGTERM");
    const force = setTimeout(() => {
      for (const child of this.#children) send(child, "SIGKILL");
    }, GOODBYE_MS);
    await Promise.all(this.#children.map(({ status }) => status));
    clearTimeout(force);
    await Deno.remove(this.#folder, { recursive: true });
  }
}

function gpuArguments({ adapter, backend, kv, deterministic }: GpuFlags): string[] {
  return [
    ...["--backend", backend],
    ...(adapter === undefined ? [] : ["--adapter", adapter]),
    ...(kv === undefined ? [] : ["--kv", kv]),
    ...(deterministic === undefined ? [] : [`--${deterministic ? "" : "no-"}deterministic`]),
  ];
}

async function explainEnd(child: Deno.ChildProcess): Promise<Error> {
  let text = "";
  for await (const part of child.stderr.pipeThrough(new TextDecoderStream())) {
    text = `${text}${part}`.slice(-KEPT_TEXT);
  }
  const { code, signal } = await child.status;
  return new Error(`A node ended with ${signal ?? code}: ${text.trim().split("\n").at(-1)}`);
}

function send(child: Deno.ChildProcess, name: Deno.Signal): void {
  try {
    child.kill(name);
  } catch (error) {
    // It has ended by itself.
    if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
  }
}
