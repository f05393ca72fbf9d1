/** Runs asynchronous tasks one after the other, in the order in which they were added. */
export class SerialQueue {
  readonly #capacity: number;
  #tail: Promise<void> = Promise.resolve();
  #numTasks = 0;

  readonly #onError: (error: unknown) => void;

  /** At most `capacity` tasks wait or run at a time. */
  constructor(capacity: number, onError: (error: unknown) => void) {
    this.#capacity = capacity;
    this.#onError = onError;
  }

  /**
   * Adds a task; false when the queue is full. A task that throws does not keep the next from
   * running; its error goes to `onError`.
   */
  add(task: () => Promise<void>): boolean {
    if (this.#numTasks >= this.#capacity) return false;
    this.#numTasks += 1;
    this.#tail = this.#tail.then(task).catch(this.#onError).finally(() => {
      this.#numTasks -= 1;
    });
    return true;
  }
}
