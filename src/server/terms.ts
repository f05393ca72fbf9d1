import type { Priority } from "../core.ts";
import { HttpError } from "./errors.ts";
import type { ServerOptions, Terms } from "./options.ts";
import type { TermsRequest } from "./schema.ts";
import type { Sender } from "./sender.ts";

const DEFAULT_REQUEST_TIMEOUT_MS = 600_000;

/** How the sequences of a request are treated among others. Throws a 400 for what is not allowed. */
export function termsOf(
  request: TermsRequest,
  { client, foreignOrigin, headerPriority }: Sender,
  options: ServerOptions,
): Terms {
  const fromHeader = headerPriority === null ? null : readPriority(headerPriority);
  const timeoutMs = timeoutOf(request, options);
  return {
    priority: priorityOf(request) ?? fromHeader ?? tierPriority(request) ?? "interactive",
    clientId: client.id,
    // A structure, not a text: whatever salt a client sends, it stays within its key, or without
    // keys within its page: what is cached shows in times and counts.
    cacheSalt: JSON.stringify([
      options.sharePrefixCache ? null : client.keyIndex ?? foreignOrigin,
      request.cache_salt ?? null,
    ]),
    ...(timeoutMs !== null && { timeoutMs }),
  };
}

function priorityOf({ priority }: TermsRequest): Priority | null {
  if (typeof priority !== "number") return priority ?? null;
  // As vLLM has it: the lower, the earlier.
  return priority <= 0 ? "interactive" : "batch";
}

function tierPriority({ service_tier: tier }: TermsRequest): Priority | null {
  if (tier === null || tier === undefined) return null;
  return tier === "flex" ? "batch" : "interactive";
}

function readPriority(header: string): Priority {
  if (header === "interactive" || header === "batch") return header;
  const isNumber = /^[+-]?\d{1,15}$/.test(header);
  if (isNumber) return Number(header) <= 0 ? "interactive" : "batch";
  throw new HttpError(
    400,
    'Invalid \'x-priority\': Expected "interactive", "batch" or a whole number',
    { param: "x-priority", code: "invalid_value" },
  );
}

/** Milliseconds; null without a limit. */
function timeoutOf({ timeout }: TermsRequest, { requestTimeoutMs }: ServerOptions): number | null {
  const mostMs = requestTimeoutMs === undefined ? DEFAULT_REQUEST_TIMEOUT_MS : requestTimeoutMs;
  if (timeout === null || timeout === undefined) return mostMs;
  if (mostMs === null || timeout * 1000 <= mostMs) return timeout * 1000;
  throw new HttpError(400, `Invalid 'timeout': This server allows at most ${mostMs / 1000} s`, {
    param: "timeout",
    code: "invalid_value",
  });
}
