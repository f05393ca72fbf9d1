/**
 * `bench kernels`, `offline`, `mesh`, `online` and `streaming`: one JSON line on stdout for each
 * number, with its ceiling.
 *
 * @module
 */
import { benchKernels } from "./kernels/run.ts";
import { benchMesh } from "./mesh.ts";
import { benchOffline } from "./offline.ts";
import { benchOnline } from "./online.ts";
import { HELP, OptionError, parseOptions } from "./options.ts";
import { benchStreaming } from "./streaming.ts";

/** Runs one mode with its options. Returns the exit code: 2 for a wrong option. */
export async function bench(args: readonly string[]): Promise<number> {
  const [mode = "--help", ...rest] = args;
  if (["--help", "-h", "help"].includes(mode) || rest.some((arg) => arg === "--help")) {
    console.log(HELP);
    return 0;
  }
  try {
    switch (mode) {
      case "kernels":
        return await benchKernels(parseOptions(rest));
      case "offline":
        return await benchOffline(parseOptions(rest));
      case "mesh":
        return await benchMesh(parseOptions(rest));
      case "online":
        return await benchOnline(parseOptions(rest), rest);
      case "streaming":
        return await benchStreaming(parseOptions(rest));
      default:
        throw new OptionError(
          `There is no "bench ${mode}": use "kernels", "offline", "mesh", "online" or "streaming"`,
        );
    }
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    console.error(error.message);
    return 2;
  }
}

if (import.meta.main) Deno.exit(await bench(Deno.args));
