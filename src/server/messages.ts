import type { ChatMessage } from "../tokenizer/chat_message.ts";
import { HttpError } from "./errors.ts";

/** Roles of OpenAI's API and what chat templates call them. */
const ROLES: Readonly<Record<string, string>> = {
  system: "system",
  developer: "system",
  user: "user",
  assistant: "assistant",
  tool: "tool",
  function: "tool",
};

/** Checks `messages` and gives roles their templates' names. Stops at the first mistake. */
export function parseMessages(messages: unknown): ChatMessage[] {
  if (!Array.isArray(messages) || messages.length === 0) {
    throw invalid("messages", "Expected an array of at least one message");
  }
  return messages.map((message, index) => parseMessage(message, `messages[${index}]`));
}

function parseMessage(message: unknown, path: string): ChatMessage {
  if (!isObject(message)) throw invalid(path, "Expected an object with 'role' and 'content'");
  const role = typeof message.role === "string" && Object.hasOwn(ROLES, message.role)
    ? ROLES[message.role]
    : undefined;
  if (role === undefined) {
    throw invalid(`${path}.role`, `Expected one of ${Object.keys(ROLES).join(", ")}`);
  }
  const hasCalls = Array.isArray(message.tool_calls) || isObject(message.function_call);
  checkContent(message.content, {
    path: `${path}.content`,
    mayBeAbsent: role === "assistant" && hasCalls,
  });
  return { ...message, role };
}

function checkContent(
  content: unknown,
  { path, mayBeAbsent }: { path: string; mayBeAbsent: boolean },
): void {
  if (typeof content === "string") return;
  if ((content === null || content === undefined) && mayBeAbsent) return;
  if (!Array.isArray(content)) throw invalid(path, "Expected a string or an array of text parts");
  content.forEach((part: unknown, index) => checkPart(part, `${path}[${index}]`));
}

function checkPart(part: unknown, path: string): void {
  if (!isObject(part)) throw invalid(path, "Expected a text part");
  if (part.type !== "text") {
    throw new HttpError(400, `Invalid '${path}.type': This model reads text parts only`, {
      param: `${path}.type`,
      code: "unsupported_content",
    });
  }
  if (typeof part.text !== "string") throw invalid(`${path}.text`, "Expected a string");
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(param: string, reason: string): HttpError {
  return new HttpError(400, `Invalid '${param}': ${reason}`, { param, code: "invalid_value" });
}
