import type { Clock } from "../platform/platform.ts";
import { HttpError } from "./errors.ts";

const DEADLINE_MS = 30_000;

/**
 * Reads a JSON object of at most `maxBytes`. The media type is not looked at: curl's default says
 * it is a form, and every server of this kind accepts that.
 */
export async function readJsonObject(
  request: Request,
  { maxBytes, clock }: { readonly maxBytes: number; readonly clock: Clock },
): Promise<Record<string, unknown>> {
  const waiting = new AbortController();
  const late = clock.sleep(DEADLINE_MS, waiting.signal).then(() => {
    throw new HttpError(408, `The request body did not arrive within ${DEADLINE_MS / 1000} s`, {
      code: "request_timeout",
    });
  });
  // Without a wait there is nothing late.
  late.catch(() => {});
  const text = readText(request, maxBytes);
  text.catch(() => {});
  const body: unknown = parse(await Promise.race([text, late]).finally(() => waiting.abort()));
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new HttpError(400, "The request body must be a JSON object", { code: "invalid_json" });
  }
  return body as Record<string, unknown>;
}

async function readText(request: Request, maxBytes: number): Promise<string> {
  const declaredBytes = Number(request.headers.get("content-length") ?? 0);
  if (declaredBytes > maxBytes) throw tooLarge(maxBytes);
  if (request.body === null) return "";
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const reader = request.body.getReader();
  let text = "";
  let numBytes = 0;
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      numBytes += read.value.byteLength;
      if (numBytes > maxBytes) {
        void reader.cancel().catch(() => {});
        throw tooLarge(maxBytes);
      }
      text += decode(() => decoder.decode(read.value, { stream: true }));
    }
  } finally {
    reader.releaseLock();
  }
  return text + decode(() => decoder.decode());
}

function decode(next: () => string): string {
  try {
    return next();
  } catch {
    throw new HttpError(400, "The request body is not valid UTF-8", { code: "invalid_json" });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new HttpError(400, `The request body is not valid JSON: ${reason}`, {
      code: "invalid_json",
    });
  }
}

function tooLarge(maxBytes: number): HttpError {
  return new HttpError(413, `The request body is larger than ${maxBytes} bytes`, {
    code: "body_too_large",
  });
}
