/** The worker's thread ended, or said something that could not be read. */
export class WorkerLostError extends Error {
  override readonly name = "WorkerLostError";
}

/** The error that a worker's `error` or `messageerror` event stands for. */
export function workerLost(event: Event): WorkerLostError {
  const text = event.type === "messageerror"
    ? "it said something that cannot be read"
    : (event as ErrorEvent).message || "its script could not be loaded or run";
  return new WorkerLostError(`The page's worker ended: ${text}`);
}
