/** A server whose streams are scripted, behind a real port. */
import { type HttpServer, serveHttp } from "../../signaling/http_server.ts";

/** What a request brought. */
export interface SeenRequest {
  readonly model: string;
  readonly prompt: readonly number[];
  readonly max_tokens: number;
}

/** Pieces of the body as they are sent, or a whole answer. */
export type Script = (
  request: SeenRequest,
  signal: AbortSignal,
) => AsyncGenerator<string> | Response;

/** Requests so far, and where to send more. */
export interface ScriptedServer {
  readonly url: string;
  readonly requests: SeenRequest[];
  close(): Promise<void>;
}

export async function scriptedServer(script: Script): Promise<ScriptedServer> {
  const requests: SeenRequest[] = [];
  const http: HttpServer = await serveHttp({
    ...{ hostname: "127.0.0.1", port: 0 },
    handle: async (request) => {
      const seen = await request.json();
      requests.push(seen);
      const ending = new AbortController();
      const answer = script(seen, ending.signal);
      if (answer instanceof Response) return answer;
      return new Response(bodyOf(answer, ending), {
        headers: { "content-type": "text/event-stream" },
      });
    },
  });
  return { url: `http://127.0.0.1:${http.port}`, requests, close: () => http.close() };
}

/** The `data:` line of a token. */
export function token(text: string): string {
  return `data: ${JSON.stringify({ choices: [{ text, finish_reason: null }] })}\n\n`;
}

/** How a stream ends that went well. */
export function ending(usage: Record<string, unknown>): string {
  const last = { choices: [{ text: "", finish_reason: "length" }] };
  return `data: ${JSON.stringify(last)}\n\ndata: ${
    JSON.stringify({ choices: [], usage })
  }\n\ndata: [DONE]\n\n`;
}

/** As many tokens as are asked for, one every millisecond or so, until the client hangs up. */
export async function* tokens(
  { max_tokens }: SeenRequest,
  signal: AbortSignal,
): AsyncGenerator<string> {
  for (let i = 0; i < max_tokens && !signal.aborted; i++) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    yield token(` ${i}`);
  }
  yield ending({ completion_tokens: max_tokens });
}

function bodyOf(pieces: AsyncGenerator<string>, ending: AbortController) {
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await pieces.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    cancel: async () => {
      ending.abort();
      await pieces.return(undefined);
    },
  });
}
