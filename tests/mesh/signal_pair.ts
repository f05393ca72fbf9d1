import type { UdpRelay } from "../../bench/udp_relay.ts";
import type { SignalExchange } from "../../src/mesh/rtc_signal.ts";

/** Two ends of an exchange, through JSON as a room would carry it; `relay` puts itself between. */
export function signalPair(relay?: UdpRelay): { a: SignalExchange; b: SignalExchange } {
  const mailboxes = { a: new Mailbox(), b: new Mailbox() };
  return {
    a: {
      send(signal) {
        const sent = relay ? relay.reroute("a", signal) : signal;
        if (sent) mailboxes.b.take(JSON.parse(JSON.stringify(sent)));
      },
      listen: (onSignal) => mailboxes.a.listen(onSignal),
    },
    b: {
      send(signal) {
        const sent = relay ? relay.reroute("b", signal) : signal;
        if (sent) mailboxes.a.take(JSON.parse(JSON.stringify(sent)));
      },
      listen: (onSignal) => mailboxes.b.listen(onSignal),
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
