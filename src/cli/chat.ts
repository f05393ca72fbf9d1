import { readEvents } from "./sse_events.ts";

/** The flags of `chat`. */
export interface ChatFlags {
  readonly message?: string;
  readonly url: string;
  readonly system?: string;
  readonly temperature?: number;
  readonly maxTokens?: number;
}

interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** Talks to a server: one message, or a conversation read from the terminal. */
export async function chat(flags: ChatFlags): Promise<number> {
  const messages: Message[] = [];
  if (flags.system !== undefined) messages.push({ role: "system", content: flags.system });
  if (flags.message !== undefined) {
    await ask(flags, [...messages, { role: "user", content: flags.message }]);
    return 0;
  }
  console.error("Type a message; /clear forgets the conversation, Ctrl+D ends it");
  for (let line = prompt(">"); line !== null; line = prompt(">")) {
    const content = line.trim();
    if (content === "") continue;
    if (content === "/clear") {
      messages.splice(flags.system === undefined ? 0 : 1);
      continue;
    }
    const question: Message = { role: "user", content };
    try {
      const answer = await ask(flags, [...messages, question]);
      messages.push(question, { role: "assistant", content: answer });
    } catch (error) {
      console.error(error instanceof Error ? error.message : String(error));
    }
  }
  return 0;
}

/** Streams one answer to stdout. Ctrl+C ends the answer, not the conversation. */
async function ask(flags: ChatFlags, messages: readonly Message[]): Promise<string> {
  const controller = new AbortController();
  const stop = () => controller.abort();
  Deno.addSignalListener("SIGINT", stop);
  let answer = "";
  try {
    const response = await post(flags, messages, controller.signal);
    for await (const event of readEvents(response)) {
      const text = deltaText(event);
      answer += text;
      await Deno.stdout.write(new TextEncoder().encode(text));
    }
  } catch (error) {
    if (!controller.signal.aborted) throw error;
  } finally {
    Deno.removeSignalListener("SIGINT", stop);
    console.log();
  }
  return answer;
}

async function post(
  flags: ChatFlags,
  messages: readonly Message[],
  signal: AbortSignal,
): Promise<Response> {
  const url = `${flags.url.replace(/\/+$/, "")}/v1/chat/completions`;
  const body = {
    messages,
    stream: true,
    ...(flags.temperature !== undefined && { temperature: flags.temperature }),
    ...(flags.maxTokens !== undefined && { max_tokens: flags.maxTokens }),
  };
  const headers = { "content-type": "application/json" };
  let response: Response;
  try {
    response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body), signal });
  } catch (cause) {
    signal.throwIfAborted();
    throw new Error(`Nothing answers at ${flags.url}: start it with "deno task run"`, { cause });
  }
  if (response.ok) return response;
  const failure = await response.json().catch(() => null);
  throw new Error(failure?.error?.message ?? `The server answered ${response.status}`);
}

function deltaText(event: string): string {
  const chunk = JSON.parse(event);
  if (chunk.error) throw new Error(chunk.error.message ?? "The server reported an error");
  return chunk.choices?.[0]?.delta?.content ?? "";
}
