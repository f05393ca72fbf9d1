import type { Service } from "./admission.ts";
import type { Completion } from "./completion.ts";
import { HttpError } from "./errors.ts";
import { chunks, type Format, result } from "./format.ts";
import { sseResponse } from "./sse.ts";

export interface ReplyOptions {
  readonly format: Format;
  readonly isStream: boolean;
  readonly includeUsage: boolean;
  /** Aborts when the client hangs up before it has an answer. */
  readonly signal: AbortSignal;
}

/**
 * Answers with a completion, streamed or whole, and frees it when the client hangs up.
 *
 * A stream watches its own cancellation, not the request's signal: in Deno that one also aborts
 * after an answer that went well.
 */
export async function reply(
  completion: Completion,
  { format, isStream, includeUsage, signal }: ReplyOptions,
  { options, running }: Service,
): Promise<Response> {
  const { id: model } = options.model;
  const signature = { model, fingerprint: `tessera-${options.version}` };
  const end = () => {
    completion.cancel();
    running.remove(completion);
  };
  if (signal.aborted) {
    end();
    throw new HttpError(499, "The client closed the request");
  }
  if (isStream) {
    const stream = chunks(completion, { format, signature, includeUsage });
    return named(completion, sseResponse(stream, { clock: options.clock, onClose: end }));
  }
  const onHangUp = () => completion.cancel();
  signal.addEventListener("abort", onHangUp, { once: true });
  try {
    return named(completion, Response.json(await result(completion, { format, signature })));
  } finally {
    signal.removeEventListener("abort", onHangUp);
    end();
  }
}

function named({ id }: Completion, response: Response): Response {
  response.headers.set("x-request-id", id);
  return response;
}
