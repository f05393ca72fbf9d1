import type { SignalExchange } from "../../src/mesh/rtc_signal.ts";

/** Two ends of an exchange, through JSON as a room would carry it. */
export function signalPair(): { a: SignalExchange; b: SignalExchange } {
  const [atA, atB] = [new Mailbox(), new Mailbox()];
  return {
    a: {
      send: (signal) => atB.take(JSON.parse(JSON.stringify(signal))),
      listen: (onSignal) => atA.listen(onSignal),
    },
    b: {
      send: (signal) => atA.take(JSON.parse(JSON.stringify(signal))),
      listen: (onSignal) => atB.listen(onSignal),
    },
  };
}

class Mailbox {
  readonly #early: unknown[] = [];
  #onSignal: ((signal: unknown) => void) | null = null;

  take(signal: unknown): void {
    queueMicrotask(() => this.#onSignal ? this.#onSignal(signal) : this.#early.push(signal));
  }

  listen(onSignal: (signal: unknown) => void): () => void {
    this.#onSignal = onSignal;
    for (const signal of this.#early.splice(0)) onSignal(signal);
    return () => void (this.#onSignal = null);
  }
}
