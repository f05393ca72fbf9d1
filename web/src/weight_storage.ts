/** Weights that the browser keeps for this page. */
export interface StorageUse {
  readonly usedBytes: number;
  /** What the browser allows the page in all. */
  readonly quotaBytes: number;
  /** The browser promised not to clear it by itself. */
  readonly isPersistent: boolean;
}

/** The name of the store that the worker keeps weights in. */
export const WEIGHTS_FOLDER = "weights";

/** The browser's private file system, where the worker keeps weights. */
export class WeightStorage {
  readonly #storage: StorageManager;
  readonly #folder: string;

  /** `folder` is the name of the worker's store. */
  constructor(storage: StorageManager, folder: string) {
    this.#storage = storage;
    this.#folder = folder;
  }

  /** Null where the browser does not tell. */
  async measure(): Promise<StorageUse | null> {
    try {
      const { usage, quota } = await this.#storage.estimate();
      if (usage === undefined || quota === undefined) return null;
      return { usedBytes: usage, quotaBytes: quota, isPersistent: await this.#storage.persisted() };
    } catch {
      return null;
    }
  }

  /** Asks the browser not to clear the weights by itself; it may refuse. */
  async keep(): Promise<void> {
    await this.#storage.persist().catch(() => false);
  }

  /** Deletes all weights. Throws a DOMException while a worker of any tab has one of them open. */
  async clear(): Promise<void> {
    const root = await this.#storage.getDirectory();
    try {
      await root.removeEntry(this.#folder, { recursive: true });
    } catch (error) {
      if (!(error instanceof DOMException && error.name === "NotFoundError")) throw error;
    }
  }
}
