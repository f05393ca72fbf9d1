import { HttpError } from "./errors.ts";
import type { ChatMessage } from "./options.ts";

/** Roles of OpenAI's API and what chat templates call them. */
const ROLES: Readonly<Record<string, string>> = {
  system: "system",
  developer: "system",
  user: "user",
  assistant: "assistant",
  tool: "tool",
  function: "tool",
};

/** Checks `messages` and joins text parts. Stops at the first mistake, however many follow. */
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
  const { tool_calls: calls, ...fields } = message;
  const hasCalls = role === "assistant" && Array.isArray(calls) && calls.length > 0;
  const mayBeEmpty = role === "assistant" && (hasCalls || isObject(message.function_call));
  return {
    ...fields,
    role,
    content: parseContent(message.content, `${path}.content`, mayBeEmpty),
    ...(hasCalls
      ? { tool_calls: calls.map((call, index) => parseCall(call, `${path}.tool_calls[${index}]`)) }
      : {}),
  };
}

function parseContent(content: unknown, path: string, mayBeEmpty: boolean): string {
  if (typeof content === "string") return content;
  if (Array.isArray(content)) {
    return content.map((part, index) => parsePart(part, `${path}[${index}]`)).join("");
  }
  if ((content === null || content === undefined) && mayBeEmpty) return "";
  throw invalid(path, "Expected a string or an array of text parts");
}

function parsePart(part: unknown, path: string): string {
  if (!isObject(part)) throw invalid(path, "Expected a text part");
  if (part.type !== "text") {
    throw new HttpError(400, `Invalid '${path}.type': This model reads text parts only`, {
      param: `${path}.type`,
      code: "unsupported_content",
    });
  }
  if (typeof part.text !== "string") throw invalid(`${path}.text`, "Expected a string");
  return part.text;
}

/** Templates expect a call's arguments as an object; OpenAI sends them as JSON text. */
function parseCall(call: unknown, path: string): Record<string, unknown> {
  if (!isObject(call) || !isObject(call.function)) {
    throw invalid(path, "Expected an object with 'function'");
  }
  const { arguments: args } = call.function;
  if (typeof args !== "string") return call;
  try {
    return { ...call, function: { ...call.function, arguments: JSON.parse(args || "{}") } };
  } catch {
    throw invalid(`${path}.function.arguments`, "Expected JSON");
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(param: string, reason: string): HttpError {
  return new HttpError(400, `Invalid '${param}': ${reason}`, { param, code: "invalid_value" });
}
