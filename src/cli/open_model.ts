import { join } from "node:path";
import { cacheFolder } from "./cache_folder.ts";
import { FileStore } from "../platform/file_store.ts";
import { systemClock } from "../platform/system.ts";
import { readHubEnvironment } from "../weights/hub_environment.ts";
import type { ModelSource } from "../weights/model_source.ts";
import { openModel } from "../weights/open_model.ts";
import type { WheelOptions } from "../weights/wheel.ts";
import { ProgressLine } from "./progress.ts";

/** Opens a hub id, folder, .gguf file or URL on this machine, with progress on stderr. */
export async function openLocalModel(
  spec: string,
  { isHeaderOnly = false, signal }: {
    /** Weights of the hub are not downloaded: peers read their own. */
    readonly isHeaderOnly?: boolean;
    readonly signal?: AbortSignal;
  } = {},
): Promise<ModelSource> {
  const environment = Deno.env.toObject();
  const hub = readHubEnvironment(environment);
  const wheel = localWheel(environment);
  const progress = new ProgressLine();
  try {
    return await openModel(spec, {
      fetch: (request, init) => fetch(request, init),
      clock: systemClock,
      openFolder: (path) => new FileStore(path),
      hub: {
        endpoint: hub.endpoint,
        isOffline: hub.isOffline,
        cache: new FileStore(hub.cachePath),
        ...(hub.token !== null && { token: hub.token }),
      },
      urlCache: new FileStore(join(wheel.cachePath, "urls")),
      wheel,
      isHeaderOnly,
      onProgress: (update) => progress.download(update),
      onNotice: (message) => {
        progress.end();
        console.error(message);
      },
      ...(signal && { signal }),
    });
  } finally {
    progress.end();
  }
}

/** The Python package's way to the default model, with this machine's cache. */
export function localWheel(environment: Readonly<Record<string, string>>): WheelOptions {
  const cachePath = cacheFolder(environment);
  return { cache: new FileStore(cachePath), cachePath, runCommand };
}

/** Runs a program and shows what it says on stderr: pip's progress among it. */
async function runCommand(
  [program = "", ...args]: readonly string[],
): Promise<{ exitCode: number; stderr: string }> {
  const child = new Deno.Command(program, { args, stdout: "piped", stderr: "piped", stdin: "null" })
    .spawn();
  const [, stderr, { code }] = await Promise.all([
    show(child.stdout),
    show(child.stderr),
    child.status,
  ]);
  return { exitCode: code, stderr };
}

/** Copies a stream to stderr as it comes; returns it as text. */
async function show(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    await Deno.stderr.write(chunk);
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}
