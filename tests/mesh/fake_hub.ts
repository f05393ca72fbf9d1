import type { OpenTextSocket, TextSocketHandlers } from "../../src/platform/platform.ts";

type Json = Record<string, unknown>;

interface Client {
  readonly topics: Set<string>;
  readonly handlers: TextSocketHandlers;
  isOpen: boolean;
}

/** A signaling server within the process, as honest as the test wants it. */
export class FakeHub {
  readonly #clients = new Set<Client>();
  /** Every message that was published, as it came. */
  readonly published: Json[] = [];
  /** When each socket was dialled, by `now`. */
  readonly dials: number[] = [];
  /** Texts of all clients but for what they published. */
  readonly requests: string[] = [];
  isDown = false;
  /** Accepts connections and never says a word. */
  isMute = false;
  /** What subscribers get for a published message. */
  tamper: (message: Json) => readonly Json[] = (message) => [message];
  now: () => number = () => 0;

  readonly openSocket: OpenTextSocket = (_url, handlers) => {
    this.dials.push(this.now());
    const client: Client = { topics: new Set(), handlers, isOpen: false };
    queueMicrotask(() => {
      if (this.isDown) return handlers.onClose("The server cannot be reached");
      client.isOpen = true;
      this.#clients.add(client);
      handlers.onOpen();
    });
    return {
      send: (text) => queueMicrotask(() => client.isOpen && this.#receive(client, text)),
      close: () => queueMicrotask(() => this.#disconnect(client, "Closed by the client")),
    };
  };

  /** Closes all connections and takes none. */
  stop(): void {
    this.isDown = true;
    for (const client of [...this.#clients]) this.#disconnect(client, "The server stops");
  }

  /** Sends a text to every client. */
  say(text: string): void {
    for (const { handlers } of this.#clients) handlers.onMessage(text);
  }

  /** Delivers a message as if it had been published. */
  deliver(message: Json): void {
    const members = [...this.#clients].filter(({ topics }) => topics.has(String(message.topic)));
    const text = JSON.stringify({ ...message, clients: members.length });
    for (const { handlers } of members) handlers.onMessage(text);
  }

  #receive(client: Client, text: string): void {
    if (this.isMute) return;
    const message: Json = JSON.parse(text);
    if (message.type === "publish") {
      this.published.push(message);
      return this.tamper(message).forEach((delivered) => this.deliver(delivered));
    }
    this.requests.push(text);
    if (message.type === "ping") client.handlers.onMessage('{"type":"pong"}');
    for (const topic of message.topics as string[] ?? []) client.topics.add(topic);
  }

  #disconnect(client: Client, reason: string): void {
    if (!client.isOpen) return;
    client.isOpen = false;
    this.#clients.delete(client);
    client.handlers.onClose(reason);
  }
}
