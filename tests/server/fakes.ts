/** An engine that plays a script, an alphabet for a tokenizer, and a server made of them. */
import type { SamplingParams } from "../../src/core.ts";
import type {
  CompletionEngine,
  EngineStats,
  ServerOptions,
  Template,
  Terms,
  TokenEvent,
} from "../../src/server/options.ts";
import { createServer, type Server } from "../../src/server/server.ts";
import { normalizeMessage } from "../../src/tokenizer/chat_message.ts";
import { ChatTemplateError } from "../../src/tokenizer/chat_template_error.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { realClock } from "./clocks.ts";

export const EOS = 0;
const FIRST_PIECE = 0x110000;

/** Characters of prompts are their code points; longer pieces of output get ids beyond. */
export class FakeTokenizer implements Tokenizer {
  readonly vocabSize = 2 * FIRST_PIECE;
  readonly bosTokenId = 1;
  readonly eosTokenIds = [EOS];
  readonly stripsLeadingSpace: boolean = false;
  readonly #pieces: string[] = [];

  encode(text: string, { addSpecialTokens = true }: { addSpecialTokens?: boolean } = {}): number[] {
    const ids = Array.from(text, (char) => char.codePointAt(0) ?? 0);
    return addSpecialTokens ? [1, ...ids] : ids;
  }

  id(piece: string): number {
    const known = this.#pieces.indexOf(piece);
    return FIRST_PIECE + (known >= 0 ? known : this.#pieces.push(piece) - 1);
  }

  text(id: number): string {
    if (id <= 1) return "";
    return id < FIRST_PIECE ? String.fromCodePoint(id) : this.#pieces[id - FIRST_PIECE] ?? "?";
  }

  tokenBytes(id: number): Uint8Array {
    return new TextEncoder().encode(this.text(id));
  }

  isSpecial(id: number): boolean {
    return id <= 1;
  }

  idToToken(id: number): string {
    return this.isSpecial(id) ? `<${id}>` : this.text(id);
  }

  tokenToId(): null {
    return null;
  }
}

export interface Call {
  readonly prompt: readonly number[];
  readonly sampling: SamplingParams;
  readonly terms: Partial<Terms>;
  isOpen: boolean;
  numEvents: number;
}

/** An event of a script; nothing is cached unless it says so. */
type ScriptEvent = Omit<TokenEvent, "numCachedTokens"> & Partial<TokenEvent>;

/** What one generation does. Waits must obey the signal. */
export type Script = (
  call: Call,
  tools: { tokenizer: FakeTokenizer; signal: AbortSignal },
) => AsyncGenerator<ScriptEvent>;

/** Gives the pieces one by one and then ends. */
export function pieces(texts: readonly string[], finishReason: "stop" | "length" = "stop"): Script {
  return async function* (_call, { tokenizer }) {
    for (const text of texts) {
      await Promise.resolve();
      yield { tokenIds: [tokenizer.id(text)], finishReason: null };
    }
    yield { tokenIds: finishReason === "stop" ? [EOS] : [], finishReason };
  };
}

/** Gives a piece every few milliseconds until nobody wants more. */
export function endless(piece = "la ", everyMs = 2): Script {
  return async function* (_call, { tokenizer, signal }) {
    while (true) {
      await realClock.sleep(everyMs, signal);
      yield { tokenIds: [tokenizer.id(piece)], finishReason: null };
    }
  };
}

/** Never gives anything. */
export function silent(): Script {
  return async function* (_call, { signal }) {
    await new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });
    yield { tokenIds: [], finishReason: "length" };
  };
}

export class FakeEngine implements CompletionEngine {
  readonly maxModelLength = 1000;
  readonly calls: Call[] = [];
  numWaiting = 0;
  script: Script;
  readonly #tokenizer: FakeTokenizer;

  constructor(script: Script, tokenizer: FakeTokenizer) {
    this.script = script;
    this.#tokenizer = tokenizer;
  }

  get numOpen(): number {
    return this.calls.filter(({ isOpen }) => isOpen).length;
  }

  /** As the real one: a prompt that starts with this text is refused at once. */
  refuses: string | null = null;

  generate(
    prompt: readonly number[],
    sampling: SamplingParams,
    options: Partial<Terms> & { signal?: AbortSignal } = {},
  ): AsyncGenerator<TokenEvent> {
    const text = prompt.map((id) => this.#tokenizer.text(id)).join("");
    if (this.refuses !== null && text.startsWith(this.refuses)) {
      throw Object.assign(new Error("The pool is too small"), {
        status: 400,
        code: "invalid_value",
      });
    }
    return this.#play(prompt, sampling, options);
  }

  async *#play(
    prompt: readonly number[],
    sampling: SamplingParams,
    { signal = new AbortController().signal, ...terms }: Partial<Terms> & { signal?: AbortSignal },
  ): AsyncGenerator<TokenEvent> {
    const call: Call = { prompt, sampling, terms, isOpen: true, numEvents: 0 };
    this.calls.push(call);
    try {
      for await (const event of this.script(call, { tokenizer: this.#tokenizer, signal })) {
        call.numEvents += 1;
        yield { numCachedTokens: 0, ...event };
      }
    } catch (error) {
      if (!signal.aborted) throw error;
      yield { tokenIds: [], finishReason: "abort", numCachedTokens: 0 };
    } finally {
      call.isOpen = false;
    }
  }

  stats(): EngineStats {
    return {
      numRunning: this.numOpen,
      numWaiting: this.numWaiting,
      numFreeBlocks: 8,
      numCachedBlocks: 3,
      numBlocks: 9,
      numPromptTokens: 50,
      numCachedPromptTokens: 20,
      numPreemptions: 1,
    };
  }
}

/** Renders `role:text|` for each message and `assistant:` as the prompt to go on from. */
export const fakeTemplate: Template = {
  render: (messages, { addGenerationPrompt, tools, kwargs }) => {
    if (messages.some(({ content }) => content === "raise")) {
      throw new ChatTemplateError("Roles must alternate");
    }
    const head = (tools ? `tools=${tools.length}|` : "") + (kwargs ? JSON.stringify(kwargs) : "");
    const body = messages.map(normalizeMessage).map(({ role, content }) => `${role}:${content}|`)
      .join("");
    return head + body + (addGenerationPrompt ? "assistant:" : "");
  },
};

/** A server whose engine plays `script`. */
export function fakeServer(script: Script, options: Partial<ServerOptions> = {}) {
  const tokenizer = new FakeTokenizer();
  const engine = new FakeEngine(script, tokenizer);
  let counter = 0;
  const server = createServer({
    engine,
    tokenizer,
    chatTemplate: fakeTemplate,
    model: { id: "acme/tiny", aliases: ["tiny"], vocabSize: FIRST_PIECE, eosTokenIds: [EOS] },
    clock: realClock,
    rng: { uint32: () => ++counter },
    version: "1.2.3",
    dateMs: () => 1_700_000_000_500,
    ...options,
  });
  const promptOf = (index = 0) =>
    (engine.calls[index]?.prompt ?? []).map((id) => tokenizer.text(id)).join("");
  return { engine, server, promptOf };
}

/** Posts JSON to a server without a socket. */
export function post(
  server: Server,
  path: string,
  body: unknown,
  { remoteAddress, ...init }: RequestInit & { readonly remoteAddress?: string } = {},
): Promise<Response> {
  return server.fetch(
    new Request(`http://local${path}`, {
      method: "POST",
      body: typeof body === "string" ? body : JSON.stringify(body),
      ...init,
    }),
    remoteAddress === undefined ? undefined : { remoteAddress },
  );
}

/** The lines of a finished event stream, parsed where they are JSON. */
export async function events(response: Response): Promise<unknown[]> {
  const text = await response.text();
  return text.split("\n\n").filter((part) => part !== "").map((part) => {
    if (!part.startsWith("data: ")) return part;
    const data = part.slice("data: ".length);
    return data.startsWith("{") ? JSON.parse(data) : data;
  });
}
