import type { GpuProviderReport } from "../contracts/gpu_provider.ts";

/** How a program ended, and what it printed. */
export interface ProgramResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, or kills it after `deadlineMs`. */
export async function runProgram(
  command: readonly string[],
  options: { readonly deadlineMs: number; readonly env?: Record<string, string> },
): Promise<ProgramResult> {
  const [program, ...args] = command;
  const { code, stdout, stderr } = await new Deno.Command(program!, {
    args,
    env: { NO_COLOR: "1", ...options.env },
    signal: AbortSignal.timeout(options.deadlineMs),
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** The report that a program printed, which must be all it printed. */
export function reportOf({ code, stdout, stderr }: ProgramResult): GpuProviderReport {
  if (code !== 0) throw new Error(`Exit code ${code}: ${stderr}`);
  return JSON.parse(stdout);
}
