import { type Context, Hono } from "hono";
import { cors } from "hono/cors";
import { newId, nowSeconds, requireReady, type Service } from "./admission.ts";
import { readJsonObject } from "./body.ts";
import { chat } from "./chat.ts";
import { completions } from "./completions.ts";
import { errorResponse, HttpError, toHttpError } from "./errors.ts";
import { modelCard, requireModel } from "./models.ts";
import type { ServerOptions } from "./options.ts";
import { RunningCompletions } from "./running.ts";
import { isRequestId, parseStopRequest } from "./schema.ts";

const DEFAULT_MAX_BODY_BYTES = 8 * 1024 * 1024;

/** An HTTP server without a socket. */
export interface Server {
  fetch(request: Request): Promise<Response>;
}

/** The OpenAI endpoints in front of an engine. Nothing is shared between two servers. */
export function createServer(options: ServerOptions): Server {
  const service: Service = { options, running: new RunningCompletions() };
  const app = new Hono();
  app.use(allowOrigins(options));
  app.use(async (context, next) => {
    await next();
    if (context.res.headers.has("x-request-id")) return;
    context.header("x-request-id", headerId(context) ?? newId("req-", options));
  });

  app.get("/", (context) => context.text(usage(new URL(context.req.url).origin, options)));
  app.get("/health", () => health(options));
  app.get("/version", (context) => context.json({ version: options.version }));

  const card = modelCard(options.model, {
    created: nowSeconds(options),
    maxModelLength: options.engine.maxModelLength,
  });
  app.get("/v1/models", (context) => context.json({ object: "list", data: [card] }));
  // Ids of the hub have a slash, which clients may or may not encode.
  app.get("/v1/models/:id{.+}", (context) => {
    requireModel(context.req.param("id"), options.model);
    return context.json(card);
  });

  app.post("/v1/chat/completions", async (context) => {
    return await chat(await body(context, options), caller(context), service);
  });
  app.post("/v1/completions", async (context) => {
    return await completions(await body(context, options), caller(context), service);
  });
  app.post("/v1/stop_request", async (context) => {
    const { request_id } = parseStopRequest(await body(context, options));
    service.running.stop(request_id);
    return context.json({ request_id, stopped: true });
  });

  const paths = new Map(
    app.routes.filter(({ method }) => method !== "ALL").map(
      ({ path, method }) => [path, method],
    ),
  );
  for (const [path, method] of paths) app.all(path, () => errorResponse(wrongMethod(method)));
  app.notFound(({ req }) => errorResponse(unknownRoute(req.method, req.path)));
  app.onError((error) => errorResponse(toHttpError(error)));
  return { fetch: async (request) => await app.fetch(request) };
}

function allowOrigins({ corsOrigins }: ServerOptions) {
  return cors({
    origin: corsOrigins === undefined ? "*" : [...corsOrigins],
    allowMethods: ["GET", "HEAD", "POST", "OPTIONS"],
    // No allowHeaders: whatever a preflight asks for is allowed, x-stainless-* among it.
    exposeHeaders: ["x-request-id", "retry-after"],
    maxAge: 600,
  });
}

async function body(context: Context, options: ServerOptions): Promise<Record<string, unknown>> {
  requireReady(options);
  const maxBytes = options.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES;
  return await readJsonObject(context.req.raw, maxBytes);
}

function caller(context: Context): { headerId: string | null; signal: AbortSignal } {
  return { headerId: headerId(context), signal: context.req.raw.signal };
}

function headerId(context: Context): string | null {
  const id = context.req.header("x-request-id");
  return id !== undefined && isRequestId(id) ? id : null;
}

function health(options: ServerOptions): Response {
  requireReady(options);
  const { numRunning, numWaiting, numFreeBlocks, numBlocks } = options.engine.stats();
  return Response.json({
    status: "ok",
    model: options.model.id,
    num_running: numRunning,
    num_waiting: numWaiting,
    num_free_blocks: numFreeBlocks,
    num_blocks: numBlocks,
  });
}

function usage(origin: string, { version, model }: ServerOptions): string {
  return `Tessera ${version} serves ${model.id}

  curl ${origin}/v1/chat/completions -d '{"messages": [{"role": "user", "content": "Hello"}]}'

POST /v1/chat/completions   POST /v1/completions   POST /v1/stop_request
GET  /v1/models             GET  /health           GET  /version

Any OpenAI client works with the base URL ${origin}/v1 and any API key
`;
}

function wrongMethod(allowed: string): HttpError {
  return new HttpError(405, `Only ${allowed} is allowed here`, {
    code: "method_not_allowed",
    headers: { allow: `${allowed}, OPTIONS` },
  });
}

function unknownRoute(method: string, path: string): HttpError {
  return new HttpError(404, `Nothing answers ${method} ${path}: see GET /`, {
    code: "unknown_route",
  });
}
