import type { GpuContext } from "../gpu/context.ts";

/** A loaded shard computes something else than its weights say. */
export class KnownAnswerError extends Error {
  override readonly name = "KnownAnswerError";

  constructor({ capabilities }: Pick<GpuContext, "capabilities">, problem: string) {
    super(
      `"${capabilities.adapterName}" failed the known-answer test (${problem}): lend less memory, ` +
        "restart the program, or update the driver",
    );
  }
}
