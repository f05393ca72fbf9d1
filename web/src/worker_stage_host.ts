import type { Batch } from "../../src/core.ts";
import type { StageOutput } from "../../src/stage/stage.ts";
import type {
  DeviceReport,
  HostedStage,
  LoadRequest,
  LoadState,
  ReadFromCoordinator,
  StageHost,
} from "../../src/stage/stage_host.ts";
import type { HeldFile } from "../../src/weights/chunk_cache.ts";
import { filling, fillingBatch } from "./filling.ts";
import { fromWireError, toWireError } from "./worker_error.ts";
import { workerLost } from "./worker_lost_error.ts";
import type { FromWorker, MessageEnd, ToWorker } from "./worker_messages.ts";

/** The line to a worker, and how to end it. */
export interface WorkerLine {
  readonly end: MessageEnd;
  terminate(): void;
}

/** How a load reads and what it tells. */
type LoadMeans = Parameters<StageHost["load"]>[1];
type Loaded = Extract<FromWorker, { type: "loaded" }>;
type Opened = Extract<FromWorker, { type: "opened" }>;

interface PendingLoad extends PromiseWithResolvers<HostedStage> {
  readonly means: LoadMeans;
}

interface PendingForward extends PromiseWithResolvers<StageOutput> {
  readonly loadId: number;
}

/** A device in a worker. Made by `openWorkerStageHost`. */
export class WorkerStageHost implements StageHost {
  readonly device: DeviceReport;
  /** What the self-test turned off, one line each. */
  readonly warnings: readonly string[];
  readonly lost: Promise<Error>;
  readonly #line: WorkerLine;
  readonly #resolveLost: (error: Error) => void;
  readonly #loads = new Map<number, PendingLoad>();
  readonly #forwards = new Map<number, PendingForward>();
  readonly #lists = new Map<number, PromiseWithResolvers<readonly HeldFile[]>>();
  readonly #openStages = new Set<number>();
  #nextId = 0;
  /** Why nothing can be asked of the worker any more. */
  #endError: Error | null = null;

  constructor(line: WorkerLine, { device, warnings }: Opened) {
    this.device = device;
    this.warnings = warnings;
    this.#line = line;
    ({ promise: this.lost, resolve: this.#resolveLost } = Promise.withResolvers<Error>());
    line.end.addEventListener("message", this.#onMessage);
    line.end.addEventListener("messageerror", this.#onCrash);
    line.end.addEventListener("error", this.#onCrash);
  }

  async load(request: LoadRequest, means: LoadMeans): Promise<HostedStage> {
    means.signal?.throwIfAborted();
    if (this.#endError !== null) throw this.#endError;
    const loadId = this.#nextId++;
    const pending: PendingLoad = { means, ...Promise.withResolvers<HostedStage>() };
    this.#loads.set(loadId, pending);
    const onAbort = () =>
      this.#post({ type: "abort-load", loadId, error: toWireError(means.signal?.reason) });
    means.signal?.addEventListener("abort", onAbort);
    try {
      this.#post({ type: "load", loadId, request });
      const stage = await pending.promise;
      // It was loaded before the worker heard of the abort.
      if (means.signal?.aborted) stage.close();
      means.signal?.throwIfAborted();
      return stage;
    } catch (error) {
      means.signal?.throwIfAborted();
      throw error;
    } finally {
      means.signal?.removeEventListener("abort", onAbort);
      this.#loads.delete(loadId);
    }
  }

  /** Files of which the worker keeps something from before. */
  heldFiles(): Promise<readonly HeldFile[]> {
    if (this.#endError !== null) return Promise.reject(this.#endError);
    const listId = this.#nextId++;
    const pending = Promise.withResolvers<readonly HeldFile[]>();
    this.#lists.set(listId, pending);
    this.#post({ type: "list-held", listId });
    return pending.promise;
  }

  close(): void {
    if (this.#endError === null) this.#post({ type: "close" });
    this.#end(new Error("The device was closed"));
  }

  readonly #onMessage = (event: Event): void => {
    const message = (event as MessageEvent<FromWorker>).data;
    switch (message.type) {
      case "progress":
        return this.#loads.get(message.loadId)?.means.onProgress?.(message.state);
      case "read":
        return void this.#answerRead(message);
      case "loaded":
        return this.#loads.get(message.loadId)?.resolve(this.#stage(message));
      case "load-failed":
        return this.#loads.get(message.loadId)?.reject(fromWireError(message.error));
      case "forwarded":
        return this.#settledForward(message.forwardId)?.resolve(message.output);
      case "forward-failed":
        return this.#settledForward(message.forwardId)?.reject(fromWireError(message.error));
      case "held":
        this.#lists.get(message.listId)?.resolve(message.files);
        return void this.#lists.delete(message.listId);
      case "list-failed":
        this.#lists.get(message.listId)?.reject(fromWireError(message.error));
        return void this.#lists.delete(message.listId);
      case "lost":
        return this.#lose(fromWireError(message.error));
      case "opened":
      case "open-failed":
        return;
      default:
        message satisfies never;
    }
  };

  readonly #onCrash = (event: Event): void => this.#lose(workerLost(event));

  async #answerRead(
    { loadId, readId, fileKey, range }: Extract<FromWorker, { type: "read" }>,
  ): Promise<void> {
    try {
      const bytes = filling(await this.#reader(loadId)(fileKey, range));
      this.#post({ type: "read-done", readId, bytes }, [bytes.buffer as ArrayBuffer]);
    } catch (error) {
      this.#post({ type: "read-failed", readId, error: toWireError(error) });
    }
  }

  #reader(loadId: number): ReadFromCoordinator {
    const load = this.#loads.get(loadId);
    if (load === undefined) throw new Error("The load that asked for these bytes has ended");
    return load.means.readFromCoordinator;
  }

  #stage({ loadId, shard, memoryBytes, state }: Loaded): HostedStage {
    this.#openStages.add(loadId);
    return {
      shard,
      memoryBytes,
      state: state satisfies LoadState,
      forward: (batch, hidden) => this.#forward(loadId, { batch, hidden }),
      close: () => this.#closeStage(loadId),
    };
  }

  /** Posts before it returns, so that batches take effect in the order of the calls. */
  #forward(
    loadId: number,
    { batch, hidden }: { readonly batch: Batch; readonly hidden: Float32Array | null },
  ): Promise<StageOutput> {
    if (this.#endError !== null) return Promise.reject(this.#endError);
    if (!this.#openStages.has(loadId)) return Promise.reject(new Error("The stage is closed"));
    const forwardId = this.#nextId++;
    const pending: PendingForward = { loadId, ...Promise.withResolvers<StageOutput>() };
    this.#forwards.set(forwardId, pending);
    // A copy travels: the caller's array stays the caller's.
    const copy = hidden?.slice() ?? null;
    const transfer = copy === null ? [] : [copy.buffer];
    const message = { loadId, forwardId, batch: fillingBatch(batch), hidden: copy };
    this.#post({ type: "forward", ...message }, transfer);
    return pending.promise;
  }

  #settledForward(forwardId: number): PendingForward | undefined {
    const pending = this.#forwards.get(forwardId);
    this.#forwards.delete(forwardId);
    return pending;
  }

  #closeStage(loadId: number): void {
    if (!this.#openStages.delete(loadId)) return;
    this.#post({ type: "close-stage", loadId });
    for (const [forwardId, pending] of this.#forwards) {
      if (pending.loadId !== loadId) continue;
      this.#settledForward(forwardId)?.reject(new Error("The stage was closed"));
    }
  }

  #post(message: ToWorker, transfer: Transferable[] = []): void {
    if (this.#endError === null) this.#line.end.postMessage(message, transfer);
  }

  #lose(error: Error): void {
    if (this.#endError !== null) return;
    this.#end(error);
    this.#resolveLost(error);
  }

  #end(error: Error): void {
    if (this.#endError !== null) return;
    this.#endError = error;
    this.#openStages.clear();
    for (const pendings of [this.#loads, this.#forwards, this.#lists]) {
      for (const pending of pendings.values()) pending.reject(error);
      pendings.clear();
    }
    this.#line.terminate();
  }
}
