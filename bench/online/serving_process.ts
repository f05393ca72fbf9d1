import { fileURLToPath } from "node:url";
import type { ReadyLine } from "./ready_line.ts";

/** A server in a process of its own. */
export interface ServingProcess extends ReadyLine {
  /** Ends it. */
  close(): Promise<void>;
}

/** Loading a model takes no longer. */
const START_DEADLINE_MS = 600_000;
/** Ending takes no longer, or it is killed. */
const END_DEADLINE_MS = 10_000;

/**
 * Starts a server with the bench's own arguments and waits until it answers. Apart from the clients,
 * so that they note when something arrives, not when the server's event loop has time for them.
 * Throws when it ends before.
 */
export async function startServing(args: readonly string[]): Promise<ServingProcess> {
  const program = fileURLToPath(new URL("server_process.ts", import.meta.url));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-lock", program, ...args],
    ...{ stdin: "piped", stdout: "piped", stderr: "inherit" },
  }).spawn();
  const close = async () => {
    await child.stdin.close().catch(() => {});
    const late = setTimeout(() => child.kill("SIGKILL"), END_DEADLINE_MS);
    await child.status;
    clearTimeout(late);
  };
  const late = setTimeout(() => child.kill("SIGKILL"), START_DEADLINE_MS);
  const line = await firstLine(child.stdout);
  clearTimeout(late);
  if (line !== null) return { ...JSON.parse(line) as ReadyLine, close };
  await close();
  throw new Error("The server ended before it could answer");
}

/** Up to the first line break; null when there is none. Nothing after it is read. */
async function firstLine(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string | null> {
  let text = "";
  for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
    text += piece;
    const end = text.indexOf("\n");
    if (end >= 0) return text.slice(0, end);
  }
  return null;
}
