import type { Clock } from "../../src/platform/platform.ts";
import type { CompletionClient } from "./completion_client.ts";
import { Streams } from "./streams.ts";
import type { Observed } from "./users.ts";

/**
 * Decodes all `prompts` side by side. The window is from the last one's first token to the first
 * one's end: all of them decode in it, and nothing else runs. Throws the reason when there is none.
 */
export async function decodeTogether(
  client: CompletionClient,
  { clock, ...options }: ConstructorParameters<typeof Streams>[1] & { readonly clock: Clock },
): Promise<Observed> {
  const streams = new Streams(client, options);
  try {
    await streams.allHave(1);
    const startMs = clock.now();
    await streams.anyEnded();
    return { window: { startMs, endMs: clock.now() }, answers: await streams.stop() };
  } finally {
    await streams.stop();
  }
}
