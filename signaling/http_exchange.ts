/**
 * A request and its answer, between node:http and a fetch handler.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from "node:http";

/** What is asked, where the answer goes, and who gives it. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly protocol: "http" | "https";
  handle(request: Request, remoteAddress: string): Response | Promise<Response>;
}

/** Answers. Resolves once the answer has left or the client has hung up; never rejects. */
export async function respond({ request, response, protocol, handle }: Exchange): Promise<void> {
  const abort = new AbortController();
  const { promise: over, resolve: end } = Promise.withResolvers<void>();
  response.on("finish", end);
  response.on("close", () => {
    if (!response.writableFinished) abort.abort(new DOMException("Client hung up", "AbortError"));
    end();
  });
  response.on("error", () => response.destroy());
  try {
    const asked = requestOf(request, { protocol, signal: abort.signal });
    const answer = asked === null
      ? new Response("Not a request that this server understands", { status: 400 })
      : await handle(asked, request.socket.remoteAddress ?? "");
    for (const [name, value] of answer.headers) response.appendHeader(name, value);
    response.writeHead(answer.status);
    if (answer.body) await pipeBody(answer.body, { response, signal: abort.signal });
    response.end();
  } catch (error) {
    if (!abort.signal.aborted) console.error(error);
    if (!abort.signal.aborted && !response.headersSent) response.writeHead(500).end();
    else response.destroy();
  }
  await over;
}

/** The request as fetch handlers know it; null when it cannot be one. */
function requestOf(
  request: IncomingMessage,
  { protocol, signal }: { protocol: string; signal: AbortSignal },
): Request | null {
  const { method = "GET", url = "/", rawHeaders } = request;
  const hasBody = method !== "GET" && method !== "HEAD";
  try {
    const headers = new Headers();
    for (let i = 0; i < rawHeaders.length; i += 2) {
      headers.append(rawHeaders[i]!, rawHeaders[i + 1]!);
    }
    return new Request(new URL(url, `${protocol}://${headers.get("host") ?? "localhost"}`), {
      ...{ method, headers, signal },
      body: hasBody ? bodyOf(request) : null,
    });
  } catch {
    return null;
  }
}

/** Chunks as they are asked for. */
function bodyOf(request: IncomingMessage): ReadableStream<Uint8Array<ArrayBuffer>> {
  const chunks = request[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await chunks.next();
      if (done) controller.close();
      else controller.enqueue(new Uint8Array(value));
    },
    async cancel() {
      await chunks.return?.();
    },
  });
}

/**
 * Writes as fast as the client reads. Cancels the body when the client hangs up; hangs up when the
 * body fails, be the client reading or not.
 */
async function pipeBody(
  body: ReadableStream<Uint8Array>,
  { response, signal }: { response: ServerResponse; signal: AbortSignal },
): Promise<void> {
  const reader = body.getReader();
  const onAbort = () => void reader.cancel(signal.reason).catch(() => {});
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  reader.closed.catch(() => response.destroy());
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
    if (signal.aborted) break;
    if (!response.write(value)) await drained(response, signal);
  }
}

function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off("drain", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    response.on("drain", done);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
