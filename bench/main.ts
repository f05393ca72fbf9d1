/**
 * `bench kernels`, `bench offline` and `bench mesh`: one JSON line on stdout for each number, with its ceiling.
 *
 * @module
 */
import { benchKernels } from "./kernels/run.ts";
import { benchMesh } from "./mesh.ts";
import { benchOffline } from "./offline.ts";
import { HELP, OptionError, parseOptions } from "./options.ts";

/** Runs `kernels`, `offline` or `mesh` with its options. Returns the exit code: 2 for a wrong option. */
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
        console.error(`"bench ${mode}" is not built yet`);
        return 1;
      default:
        throw new OptionError(`There is no "bench ${mode}": use "kernels", "offline" or "mesh"`);
    }
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    console.error(error.message);
    return 2;
  }
}

if (import.meta.main) Deno.exit(await bench(Deno.args));
