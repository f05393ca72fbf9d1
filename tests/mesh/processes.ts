/** The program's processes as people start them, in a folder of their own. */
import { join } from "node:path";
import type { ClusterStatus } from "../../src/cluster/status.ts";
import { smolLm2Path } from "../smollm2_gguf.ts";

/** A process and everything it wrote. */
export interface ProgramProcess {
  readonly name: string;
  readonly output: string;
  /** Sends a signal; a process that has ended takes none. */
  kill(signal: Deno.Signal): void;
  /** The exit code, once it has ended. */
  readonly ended: Promise<number>;
}

/** A coordinator that listens. */
export interface CoordinatorProcess extends ProgramProcess {
  readonly url: string;
  readonly link: string;
  /** Trusts the coordinator's own certificate. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
}

const START_DEADLINE_MS = 30_000;
/** Peers measure themselves, download, and imitate their GPU on the processor. */
const LOAD_DEADLINE_MS = 80_000;
const POLL_MS = 50;
const CERTIFICATE_FILE = "self_signed.pem";

/** Processes that end with their test file. */
export class Processes {
  readonly folder: string;
  readonly #all: ProgramProcess[] = [];
  readonly #clients: Deno.HttpClient[] = [];

  constructor() {
    this.folder = Deno.makeTempDirSync({ prefix: "tessera-mesh-" });
  }

  /** Starts `run` with SmolLM2 and no GPU, on a free port, and waits for its join link. */
  async coordinator(args: readonly string[] = []): Promise<CoordinatorProcess> {
    const flags = ["--no-gpu", "--port", "0", ...args];
    const process = this.#start("coordinator", ["run", await smolLm2Path(), ...flags]);
    const link = await this.#find(process, /^Lend +(\S+)$/m);
    const url = await this.#find(process, /^API +(\S+)\/v1 /m);
    const client = await this.#client(url);
    return Object.assign(process, {
      ...{ link, url },
      fetch: (path: string, init: RequestInit = {}) => fetch(url + path, { ...init, client }),
    });
  }

  /** Starts `node`; what it loads is kept in a cache of its name. */
  node(link: string, { name, cache = name }: { name: string; cache?: string }): ProgramProcess {
    return this.#start(name, ["node", "--join", link, "--name", name], cache);
  }

  /** Waits until requests are answered. */
  async serving(coordinator: CoordinatorProcess): Promise<ClusterStatus> {
    return await this.status(coordinator, ({ state }) => state === "serving", {
      what: "peers that serve",
      withinMs: LOAD_DEADLINE_MS,
    });
  }

  /** Waits until the status is as wanted. Throws with what every process wrote when it is not. */
  async status(
    coordinator: CoordinatorProcess,
    isWanted: (status: ClusterStatus) => boolean,
    { what, withinMs }: { readonly what: string; readonly withinMs: number },
  ): Promise<ClusterStatus> {
    let status: ClusterStatus | null = null;
    const isThere = async () => {
      const response = await coordinator.fetch("/cluster/status").catch((error: Error) => {
        throw new Error(`${error.message}\n${this.#outputs()}`, { cause: error });
      });
      status = await response.json() as ClusterStatus;
      return isWanted(status);
    };
    await this.until(isThere, { what: () => `${what}, not ${JSON.stringify(status)}`, withinMs });
    return status!;
  }

  /** Waits until `isThere`. Throws with what every process wrote when that takes too long. */
  async until(
    isThere: () => boolean | Promise<boolean>,
    { what, withinMs }: { readonly what: () => string; readonly withinMs: number },
  ): Promise<void> {
    const endMs = performance.now() + withinMs;
    while (!await isThere()) {
      if (performance.now() > endMs) {
        throw new Error(`Within ${withinMs} ms there should be ${what()}\n${this.#outputs()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Ends all of them and removes what they kept. */
  async close(): Promise<void> {
    for (const process of this.#all) process.kill("SIGKILL");
    await Promise.all(this.#all.map(({ ended }) => ended));
    for (const client of this.#clients) client.close();
    await Deno.remove(this.folder, { recursive: true });
  }

  #start(name: string, args: readonly string[], cache = name): ProgramProcess {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "src/cli.ts", ...args],
      env: {
        NO_COLOR: "1",
        TESSERA_CACHE: join(this.folder, cache),
        XDG_RUNTIME_DIR: this.folder,
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const process = {
      name,
      output: "",
      ended: child.status.then(({ code, signal }) => {
        process.output += `ended with ${signal ?? code}\n`;
        return code;
      }),
      kill: (signal: Deno.Signal) => {
        try {
          child.kill(signal);
        } catch {
          // It has ended.
        }
      },
    };
    for (const stream of [child.stdout, child.stderr]) {
      void collect(stream, (text) => process.output += text);
    }
    this.#all.push(process);
    return process;
  }

  async #find(process: ProgramProcess, pattern: RegExp): Promise<string> {
    let hasEnded = false;
    void process.ended.then(() => hasEnded = true);
    const find = () => pattern.exec(process.output)?.[1];
    const isThere = () => find() !== undefined || hasEnded;
    await this.until(isThere, { what: () => `${pattern}`, withinMs: START_DEADLINE_MS });
    const found = find();
    if (found === undefined) throw new Error(`It ended without ${pattern}\n${this.#outputs()}`);
    return found;
  }

  /** One that trusts the coordinator's certificate, where it has one. */
  async #client(url: string): Promise<Deno.HttpClient> {
    const path = join(this.folder, "coordinator", CERTIFICATE_FILE);
    const caCerts = url.startsWith("https:") ? [await Deno.readTextFile(path)] : [];
    const client = Deno.createHttpClient({ caCerts });
    this.#clients.push(client);
    return client;
  }

  #outputs(): string {
    return this.#all.map(({ name, output }) => `--- ${name}\n${output}`).join("\n");
  }
}

async function collect(
  stream: ReadableStream<Uint8Array>,
  take: (text: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  for await (const bytes of stream) take(decoder.decode(bytes, { stream: true }));
}
