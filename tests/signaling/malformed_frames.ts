/** Random frames that a client of the protocol would not send, the same ones for the same seed. */
export class MalformedFrames {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed * 2654435761 >>> 0) || 1;
  }

  /** A text; a few are valid after all. */
  next(): string {
    const kind = this.below(1000);
    if (kind < 400) return this.#mutate(JSON.stringify(this.#valid()));
    if (kind < 700) return JSON.stringify(this.#wrongTypes());
    if (kind < 850) return JSON.stringify(this.#value(3));
    if (kind < 995) return this.#noise(this.below(64));
    if (kind < 997) return this.#nest(this.below(4000));
    if (kind < 999) return JSON.stringify({ type: "subscribe", topics: this.#many() });
    return this.#noise(65_536 + this.below(100));
  }

  /** Uniform whole numbers below `limit`. */
  below(limit: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % limit;
  }

  #valid(): Record<string, unknown> {
    const topic = `room ${this.below(50)}`;
    const type = this.#pick(["subscribe", "unsubscribe", "publish", "ping"]);
    if (type === "publish") return { type, topic, data: this.#value(3) };
    return type === "ping" ? { type } : { type, topics: [topic, "lobby"] };
  }

  #wrongTypes(): Record<string, unknown> {
    const message = this.#valid();
    for (const key of Object.keys(message)) if (this.below(2)) message[key] = this.#value(2);
    if (this.below(4) === 0) delete message[this.#pick(Object.keys(message))];
    return message;
  }

  #mutate(text: string): string {
    for (let left = 1 + this.below(3); left > 0; left--) {
      const at = this.below(text.length + 1);
      const cut = this.below(3) === 0 ? this.below(8) : this.below(2);
      text = text.slice(0, at) + this.#noise(this.below(3)) + text.slice(at + cut);
    }
    return text;
  }

  #value(depth: number): unknown {
    switch (this.below(depth > 0 ? 9 : 7)) {
      case 0:
        return null;
      case 1:
        return this.below(2) === 0;
      case 2:
        return this.#pick([0, -1, 1e308, -0.5, 2 ** 53, this.below(1000)]);
      case 3:
        return this.#noise(this.below(12));
      case 4:
        return this.#pick(["subscribe", "publish", "ping", "__proto__", "constructor", "\ud800"]);
      case 5:
        return "";
      case 6:
        return "x".repeat(this.below(300));
      case 7:
        return Array.from({ length: this.below(4) }, () => this.#value(depth - 1));
      default: {
        const keys = [
          "type",
          "topic",
          "topics",
          "clients",
          "__proto__",
          "toJSON",
          "length",
          "then",
        ];
        return Object.fromEntries(
          Array.from({ length: this.below(4) }, () => [this.#pick(keys), this.#value(depth - 1)]),
        );
      }
    }
  }

  #many(): unknown[] {
    return Array.from({ length: 60 + this.below(200) }, (_, i) => `topic ${i} ${this.below(9)}`);
  }

  #nest(depth: number): string {
    const [open, close] = this.#pick([["[", "]"], ['{"a":', "}"], ["[", ""], ['[{"topics":', ""]]);
    return `{"type":"publish","topic":"lobby","data":${open!.repeat(depth)}1${
      close!.repeat(depth)
    }}`;
  }

  #noise(length: number): string {
    let text = "";
    if (length > 1000) return "[".repeat(length);
    for (; length > 0; length--) {
      text += this.below(2)
        ? this.#pick(["{", "}", "[", "]", '"', ":", ",", "\\", "\0", "1", "e", "ü", "\ud800", "😀"])
        : String.fromCharCode(this.below(256));
    }
    return text;
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }
}
