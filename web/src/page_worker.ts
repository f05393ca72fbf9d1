import { openWorkerStageHost } from "./open_worker_stage_host.ts";
import type { OpenedHost } from "./stage_host_server.ts";

/** A self-test on a slow adapter compiles for half a minute. */
const OPEN_DEADLINE_MS = 180_000;

/** Starts a worker and opens, tests and measures the device in it. Rejects with the signal. */
export async function openPageWorker(signal: AbortSignal): Promise<OpenedHost> {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  const line = { end: worker, terminate: () => worker.terminate() };
  const deadline = AbortSignal.timeout(OPEN_DEADLINE_MS);
  const host = await openWorkerStageHost(line, { signal: AbortSignal.any([signal, deadline]) });
  return { host, warnings: host.warnings, heldFiles: () => host.heldFiles() };
}
