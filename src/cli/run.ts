import { DEFAULT_CAPACITY, startCoordinator } from "../coordinator.ts";
import { formatBytes } from "../gpu/buffer.ts";
import { systemClock, systemRng } from "../platform/deno.ts";
import { VERSION } from "../version.ts";
import { type GpuFlags, openGpu } from "./gpu.ts";
import { openLocalModel } from "./open_model.ts";
import { ProgressLine } from "./progress.ts";

/** Nobody outside this machine reaches it. */
const HOST = "127.0.0.1";

/** The flags of `run`. */
export interface RunFlags extends GpuFlags {
  readonly model: string;
  readonly port: number;
  readonly stages: number;
  readonly kvTokens?: number;
  readonly maxModelLength?: number;
  readonly maxBatchTokens?: number;
  readonly maxSequences?: number;
  readonly checked?: boolean;
}

/** Serves until interrupted: the first Ctrl+C lets answers finish, the second does not. */
export async function run(flags: RunFlags): Promise<number> {
  const startMs = performance.now();
  checkPort(flags.port);
  const { context, tuning } = await openGpu(flags, { isTrusted: flags.checked !== true });
  console.error(`GPU      ${context.capabilities.adapterName}`);
  const source = await openLocalModel(flags.model);
  const progress = new ProgressLine();
  const coordinator = await startCoordinator({
    ...{ context, tuning, source },
    numStages: flags.stages,
    limits: {
      maxModelLength: flags.maxModelLength ?? DEFAULT_CAPACITY.maxModelLength,
      kvTokens: flags.kvTokens ?? DEFAULT_CAPACITY.kvTokens,
      maxBatchTokens: flags.maxBatchTokens ?? DEFAULT_CAPACITY.maxBatchTokens,
      maxSequences: flags.maxSequences ?? DEFAULT_CAPACITY.maxSequences,
    },
    clock: systemClock,
    rng: systemRng,
    now: () => new Date(),
    version: VERSION,
    aliases: [flags.model],
    onProgress: (loadedBytes) => progress.loading(loadedBytes),
  });
  progress.end();

  const { promise: lost, reject: fail } = Promise.withResolvers<never>();
  context.lost.then(fail);
  const server = Deno.serve({
    hostname: HOST,
    port: flags.port,
    onListen: ({ port }) => {
      const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
      const bytes = formatBytes(coordinator.weightBytes);
      console.log(
        `Model    ${source.name} (${coordinator.config.modelType}, ${bytes} of weights)`,
      );
      printHowToCall(`http://${HOST}:${port}`, source.name);
      console.error(`Ready after ${seconds} s. Press Ctrl+C to stop.`);
    },
  }, (request) => coordinator.server.fetch(request));
  const interrupted = drainOnInterrupt(server);
  try {
    await Promise.race([server.finished, lost]);
  } finally {
    await coordinator.close();
  }
  return interrupted() ? 130 : 0;
}

/** A port that is taken is known before anything is downloaded. */
function checkPort(port: number): void {
  try {
    Deno.listen({ hostname: HOST, port }).close();
  } catch (cause) {
    throw new Error(`Cannot listen on ${HOST}:${port}: choose another with --port`, { cause });
  }
}

function printHowToCall(url: string, model: string): void {
  const body = JSON.stringify({
    model,
    messages: [{ role: "user", content: "What is the capital of France?" }],
    temperature: 0,
    stream: true,
  });
  console.log(`Open     ${url}/
API      ${url}/v1  (any OpenAI client; any API key)
Try      curl -N ${url}/v1/chat/completions -H 'content-type: application/json' -d '${body}'
Chat     deno task chat --url ${url}`);
}

function drainOnInterrupt(server: Deno.HttpServer): () => boolean {
  let isInterrupted = false;
  const onSignal = () => {
    if (isInterrupted) Deno.exit(130);
    isInterrupted = true;
    console.error("Finishing the answers that are running; press Ctrl+C again to stop at once");
    server.shutdown();
  };
  Deno.addSignalListener("SIGINT", onSignal);
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGTERM", onSignal);
  return () => isInterrupted;
}
