import { fromWireError } from "./worker_error.ts";
import { workerLost } from "./worker_lost_error.ts";
import type { FromWorker, ToWorker } from "./worker_messages.ts";
import { type WorkerLine, WorkerStageHost } from "./worker_stage_host.ts";

/**
 * Opens the device in the worker behind `line`. Throws what opening it threw, a WorkerLostError, or
 * the signal's reason; the worker is ended then.
 */
export async function openWorkerStageHost(
  line: WorkerLine,
  { signal }: { readonly signal: AbortSignal },
): Promise<WorkerStageHost> {
  const { end } = line;
  const opened = Promise.withResolvers<WorkerStageHost>();
  const onMessage = (event: Event) => {
    const message = (event as MessageEvent<FromWorker>).data;
    // The host listens from here on, before the next message can come.
    if (message.type === "opened") opened.resolve(new WorkerStageHost(line, message));
    if (message.type === "open-failed") opened.reject(fromWireError(message.error));
  };
  const onError = (event: Event) => opened.reject(workerLost(event));
  const onAbort = () => opened.reject(signal.reason);
  end.addEventListener("message", onMessage);
  end.addEventListener("messageerror", onError);
  end.addEventListener("error", onError);
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  try {
    end.postMessage({ type: "open" } satisfies ToWorker, []);
    return await opened.promise;
  } catch (error) {
    line.terminate();
    throw error;
  } finally {
    end.removeEventListener("message", onMessage);
    end.removeEventListener("messageerror", onError);
    end.removeEventListener("error", onError);
    signal.removeEventListener("abort", onAbort);
  }
}
