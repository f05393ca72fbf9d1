import { ChatTemplateError } from "./chat_template_error.ts";
import { isObject } from "./json_shape.ts";

/** One message as OpenAI clients send it; unknown fields go to the template as they are. */
export interface ChatMessage {
  readonly role: string;
  readonly content?: string | readonly ContentPart[] | null;
  readonly [field: string]: unknown;
}

/** A part of a message's content. Only text can be rendered. */
export interface ContentPart {
  readonly type: string;
  readonly text?: string;
  readonly [field: string]: unknown;
}

/**
 * A message in the form that templates expect: content is one string (parts on lines of their
 * own, none is ""), arguments of tool calls are objects instead of JSON text.
 */
export function normalizeMessage(message: ChatMessage): Record<string, unknown> {
  const normalized: Record<string, unknown> = { ...message, content: contentText(message.content) };
  if (Array.isArray(message.tool_calls)) {
    normalized.tool_calls = message.tool_calls.map(parseArguments);
  }
  return normalized;
}

function contentText(content: unknown): string {
  if (content === undefined || content === null) return "";
  if (typeof content === "string") return content;
  if (Array.isArray(content)) return content.map(partText).join("\n");
  throw new ChatTemplateError("Message content is neither a string nor a list of text parts");
}

function partText(part: unknown): string {
  if (typeof part === "string") return part;
  if (isObject(part) && part.type === "text" && typeof part.text === "string") return part.text;
  const type = isObject(part) ? part.type : typeof part;
  throw new ChatTemplateError(`Content part of type "${type}" is not supported: send text parts`);
}

function parseArguments(call: unknown): unknown {
  if (!isObject(call) || !isObject(call.function)) return call;
  const { arguments: text } = call.function;
  if (typeof text !== "string") return call;
  try {
    const parsed: unknown = JSON.parse(text);
    return isObject(parsed) ? { ...call, function: { ...call.function, arguments: parsed } } : call;
  } catch {
    return call; // Not JSON: models do make such calls, and the template may print text as well.
  }
}
