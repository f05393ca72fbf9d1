import { readEvents } from "../../src/cli/sse_events.ts";
import type { Clock } from "../../src/platform/platform.ts";

/** What a client saw of one answer. Times in ms of its clock. */
export interface Answer {
  readonly sentMs: number;
  /** When each piece of text arrived: one for each token, unless a token had no text of its own. */
  readonly tokenMs: readonly number[];
  readonly endMs: number;
  /** "aborted" by the client. */
  readonly outcome: "done" | "failed" | "aborted";
  /** Why it failed. */
  readonly error: string | null;
  /** As the server counts them; null where it did not get so far or does not say. */
  readonly usage: Usage | null;
}

/** Counts of tokens. */
export interface Usage {
  readonly completionTokens: number;
  /** Of the prompt, found in the prefix cache; null where the server does not say. */
  readonly cachedTokens: number | null;
}

/** A server, as clients address it. */
export interface Target {
  /** Without "/v1". */
  readonly url: string;
  readonly model: string;
}

/** Asks an OpenAI server for completions of token ids, and notes when what arrives. */
export class CompletionClient {
  readonly #target: Target;
  readonly #clock: Clock;

  constructor(target: Target, clock: Clock) {
    this.#target = target;
    this.#clock = clock;
  }

  /** Never rejects: an answer that failed says why. Stop tokens are ignored where servers can. */
  async complete(
    { promptTokenIds, maxTokens }: {
      readonly promptTokenIds: readonly number[];
      readonly maxTokens: number;
    },
    { signal, onToken }: { readonly signal: AbortSignal; readonly onToken?: () => void },
  ): Promise<Answer> {
    const sentMs = this.#clock.now();
    const tokenMs: number[] = [];
    let usage: Usage | null = null;
    let hasFinished = false;
    const answer = (outcome: Answer["outcome"], error: string | null): Answer => {
      return { sentMs, tokenMs, endMs: this.#clock.now(), outcome, error, usage };
    };
    try {
      const response = await this.#send({ promptTokenIds, maxTokens }, signal);
      if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
      for await (const event of readEvents(response)) {
        const chunk: Chunk = JSON.parse(event);
        if (chunk.error) throw new Error(chunk.error.message);
        if (chunk.usage) usage = usageOf(chunk.usage);
        const choice = chunk.choices?.[0];
        if (choice?.finish_reason) hasFinished = true;
        if (!choice?.text) continue;
        tokenMs.push(this.#clock.now());
        onToken?.();
      }
      if (!hasFinished) throw new Error("The answer broke off");
      return answer("done", null);
    } catch (error) {
      if (signal.aborted) return answer("aborted", null);
      return answer("failed", error instanceof Error ? error.message : String(error));
    }
  }

  #send(
    { promptTokenIds, maxTokens }: {
      readonly promptTokenIds: readonly number[];
      readonly maxTokens: number;
    },
    signal: AbortSignal,
  ): Promise<Response> {
    return fetch(`${this.#target.url}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: this.#target.model,
        prompt: promptTokenIds,
        max_tokens: maxTokens,
        temperature: 0,
        ignore_eos: true,
        stream: true,
        stream_options: { include_usage: true },
      }),
      signal,
    });
  }
}

/** A `data:` of the stream, as far as it is read. */
interface Chunk {
  readonly error?: { readonly message: string };
  readonly choices?: readonly { readonly text?: string; readonly finish_reason?: string | null }[];
  readonly usage?: UsageJson | null;
}

interface UsageJson {
  readonly completion_tokens: number;
  readonly prompt_tokens_details?: { readonly cached_tokens?: number } | null;
}

function usageOf({ completion_tokens, prompt_tokens_details }: UsageJson): Usage {
  return {
    completionTokens: completion_tokens,
    cachedTokens: prompt_tokens_details?.cached_tokens ?? null,
  };
}
