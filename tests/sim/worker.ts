/// <reference lib="deno.worker" />
import type { SeedRange } from "./job.ts";
import { makeModels } from "./model.ts";
import { runRange } from "./run_range.ts";

const models = makeModels();

self.onmessage = async (
  { data }: MessageEvent<SeedRange & { readonly stopsAtFailure: boolean }>,
) => {
  self.postMessage(
    await runRange(data, { models: await models, stopsAtFailure: data.stopsAtFailure }),
  );
};
