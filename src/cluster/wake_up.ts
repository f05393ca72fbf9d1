/** Something to be done, once for however many calls. */
export class WakeUp {
  #isDue = false;
  #resolve: () => void = () => {};

  /** True between a call and the `next` that takes it. */
  get isDue(): boolean {
    return this.#isDue;
  }

  call(): void {
    this.#isDue = true;
    this.#resolve();
  }

  /** Resolves when it was called since the last time. */
  async next(): Promise<void> {
    if (!this.#isDue) await new Promise<void>((resolve) => this.#resolve = resolve);
    this.#isDue = false;
  }
}
