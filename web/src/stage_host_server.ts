import type { HostedStage, StageHost } from "../../src/stage/stage_host.ts";
import type { HeldFile } from "../../src/weights/chunk_cache.ts";
import { transferableOutput } from "./filling.ts";
import { fromWireError, toWireError } from "./worker_error.ts";
import type { FromWorker, MessageEnd, ToWorker } from "./worker_messages.ts";

/** A device that was opened and tested. */
export interface OpenedHost {
  readonly host: StageHost;
  /** What the self-test turned off, one line each. */
  readonly warnings: readonly string[];
  /** Files of which something is kept from before. */
  readonly heldFiles: () => Promise<readonly HeldFile[]>;
}

interface PendingRead extends PromiseWithResolvers<Uint8Array> {
  readonly loadId: number;
}

type LoadMessage = Extract<ToWorker, { type: "load" }>;
type ForwardMessage = Extract<ToWorker, { type: "forward" }>;

/** The worker's side of a WorkerStageHost: obeys messages with a StageHost of its own. */
export class StageHostServer {
  readonly #end: MessageEnd;
  readonly #openHost: () => Promise<OpenedHost>;
  #opened: OpenedHost | null = null;
  readonly #stages = new Map<number, HostedStage>();
  readonly #aborts = new Map<number, AbortController>();
  readonly #reads = new Map<number, PendingRead>();
  #nextReadId = 0;

  constructor(end: MessageEnd, openHost: () => Promise<OpenedHost>) {
    this.#end = end;
    this.#openHost = openHost;
    end.addEventListener("message", (event) => {
      this.#obey((event as MessageEvent<ToWorker>).data);
    });
  }

  #obey(message: ToWorker): void {
    switch (message.type) {
      case "open":
        return void this.#open();
      case "load":
        return void this.#load(message);
      case "abort-load":
        return this.#aborts.get(message.loadId)?.abort(fromWireError(message.error));
      case "read-done":
        return this.#settledRead(message.readId)?.resolve(message.bytes);
      case "read-failed":
        return this.#settledRead(message.readId)?.reject(fromWireError(message.error));
      case "list-held":
        return void this.#listHeld(message);
      case "forward":
        return void this.#forward(message);
      case "close-stage":
        this.#stages.get(message.loadId)?.close();
        this.#stages.delete(message.loadId);
        return;
      case "close":
        return this.#opened?.host.close();
      default:
        message satisfies never;
    }
  }

  async #open(): Promise<void> {
    try {
      this.#opened = await this.#openHost();
      const { host, warnings } = this.#opened;
      host.lost.then((error) => this.#post({ type: "lost", error: toWireError(error) }));
      this.#post({ type: "opened", device: host.device, warnings });
    } catch (error) {
      this.#post({ type: "open-failed", error: toWireError(error) });
    }
  }

  async #load({ loadId, request }: LoadMessage): Promise<void> {
    const abort = new AbortController();
    this.#aborts.set(loadId, abort);
    try {
      const stage = await this.#requireOpened().host.load(request, {
        readFromCoordinator: (fileKey, range) =>
          this.#read(loadId, { fileKey, range, signal: abort.signal }),
        onProgress: (state) => this.#post({ type: "progress", loadId, state }),
        signal: abort.signal,
      });
      this.#stages.set(loadId, stage);
      const { shard, memoryBytes, state } = stage;
      this.#post({ type: "loaded", loadId, shard, memoryBytes, state });
    } catch (error) {
      this.#post({ type: "load-failed", loadId, error: toWireError(error) });
    } finally {
      this.#aborts.delete(loadId);
    }
  }

  async #listHeld({ listId }: Extract<ToWorker, { type: "list-held" }>): Promise<void> {
    try {
      const files = await this.#requireOpened().heldFiles();
      this.#post({ type: "held", listId, files });
    } catch (error) {
      this.#post({ type: "list-failed", listId, error: toWireError(error) });
    }
  }

  #read(loadId: number, { fileKey, range, signal }: {
    readonly fileKey: string;
    readonly range: { readonly start: number; readonly end: number };
    readonly signal: AbortSignal;
  }): Promise<Uint8Array> {
    const readId = this.#nextReadId++;
    const pending: PendingRead = { loadId, ...Promise.withResolvers<Uint8Array>() };
    this.#reads.set(readId, pending);
    signal.addEventListener("abort", () => this.#settledRead(readId)?.reject(signal.reason));
    this.#post({ type: "read", loadId, readId, fileKey, range });
    return pending.promise;
  }

  #requireOpened(): OpenedHost {
    if (this.#opened === null) throw new Error("The device is not open");
    return this.#opened;
  }

  #settledRead(readId: number): PendingRead | undefined {
    const pending = this.#reads.get(readId);
    this.#reads.delete(readId);
    return pending;
  }

  /** Calls the stage before it first waits: batches take effect in the order of the messages. */
  async #forward({ loadId, forwardId, batch, hidden }: ForwardMessage): Promise<void> {
    try {
      const stage = this.#stages.get(loadId);
      if (stage === undefined) throw new Error("The stage is closed");
      const { output, transfer } = transferableOutput(await stage.forward(batch, hidden));
      this.#post({ type: "forwarded", forwardId, output }, transfer);
    } catch (error) {
      this.#post({ type: "forward-failed", forwardId, error: toWireError(error) });
    }
  }

  #post(message: FromWorker, transfer: Transferable[] = []): void {
    this.#end.postMessage(message, transfer);
  }
}
