/** An AbortController whose signal counts its listeners, together with those of its parent. */
export class CountingSignal {
  readonly signal: AbortSignal;
  numListeners = 0;
  readonly #controller = new AbortController();

  constructor(parent?: CountingSignal) {
    const { signal } = this.#controller;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    const count = (change: number) => {
      this.numListeners += change;
      if (parent) parent.numListeners += change;
    };
    this.signal = Object.assign(signal, {
      addEventListener: (type: string, listener: () => void) => {
        count(1);
        add(type, listener);
      },
      removeEventListener: (type: string, listener: () => void) => {
        count(-1);
        remove(type, listener);
      },
    });
  }

  abort(): void {
    this.#controller.abort();
  }
}
