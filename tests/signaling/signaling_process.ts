/** `deno task signaling` as a process of its own. */
export interface SignalingProcess {
  readonly url: string;
  readonly port: number;
  /** Sends a signal and waits for the exit code. */
  stop(signal: Deno.Signal): Promise<number>;
}

/** Starts it on a free port and waits for the line that says which. */
export async function startSignaling(
  args: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<SignalingProcess> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "signaling/main.ts", "--port", "0", ...args],
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { done, value } = await output.read();
    if (done) throw new Error(`The signaling server ended with ${(await child.status).code}`);
    text += value;
  }
  const url = text.trim();
  return {
    ...{ url, port: Number(new URL(url).port) },
    stop: async (signal) => {
      child.kill(signal);
      await output.cancel();
      return (await child.status).code;
    },
  };
}
