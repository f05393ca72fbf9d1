import { type Context, Hono, type MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import { type Caller, knownClient, ownHost, ownPage, type RequestEnv } from "./access.ts";
import { newId, nowSeconds, requireReady, type Service } from "./admission.ts";
import { readJsonObject } from "./body.ts";
import { chat } from "./chat.ts";
import { clusterRoutes } from "./cluster_routes.ts";
import { completions } from "./completions.ts";
import { errorResponse, HttpError, toHttpError } from "./errors.ts";
import { modelCard, requireModel } from "./models.ts";
import type { ServerOptions } from "./options.ts";
import { indexPage, pageAsset } from "./page.ts";
import { Queue } from "./queue.ts";
import { RunningCompletions } from "./running.ts";
import { isRequestId, parseStopRequest } from "./schema.ts";
import type { Sender } from "./sender.ts";

const DEFAULT_MAX_BODY_BYTES = 8 * 1024 * 1024;
const DEFAULT_MAX_WAITING = 256;

/** An HTTP server without a socket. */
export interface Server {
  fetch(request: Request, caller?: Caller): Promise<Response>;
}

/**
 * The OpenAI endpoints in front of an engine, the mesh's state and the page. Nothing is shared
 * between two servers.
 */
export function createServer(options: ServerOptions): Server {
  const service: Service = {
    options,
    running: new RunningCompletions(),
    queue: queueOf(options),
  };
  const app = new Hono<RequestEnv>();
  app.use(async (context, next) => {
    await next();
    if (context.res.headers.has("x-request-id")) return;
    context.header("x-request-id", headerId(context) ?? newId("req-", options));
  });
  app.use(ownHost(options));
  app.use(allowOrigins(options));
  app.use("/cluster/*", ownPage(options));
  const client = knownClient(options);
  app.use("/v1/*", client);
  app.use("/cluster/*", client);

  app.get("/", async (context) => {
    const page = options.page && await indexPage(context.req.raw, options.page);
    return page ?? context.text(usage(new URL(context.req.url).origin, options));
  });
  app.get("/health", () => health(options));
  app.get("/version", (context) => context.json({ version: options.version }));

  const created = nowSeconds(options);
  const card = () =>
    modelCard(options.model, { created, maxModelLength: options.engine.maxModelLength });
  app.get("/v1/models", (context) => context.json({ object: "list", data: [card()] }));
  // Ids of the hub have a slash, which clients may or may not encode.
  app.get("/v1/models/:id{.+}", (context) => {
    requireModel(context.req.param("id"), options.model);
    return context.json(card());
  });

  app.post("/v1/chat/completions", async (context) => {
    return await chat(await body(context, options), senderOf(context, options), service);
  });
  app.post("/v1/completions", async (context) => {
    return await completions(await body(context, options), senderOf(context, options), service);
  });
  app.post("/v1/stop_request", async (context) => {
    const { request_id } = parseStopRequest(await body(context, options));
    service.running.stop(request_id);
    return context.json({ request_id, stopped: true });
  });

  if (options.cluster) app.route("/cluster", clusterRoutes(options.cluster, options));

  const paths = new Map(
    app.routes.filter(({ method }) => method !== "ALL").map(
      ({ path, method }) => [path, method],
    ),
  );
  for (const [path, method] of paths) app.all(path, () => errorResponse(wrongMethod(method)));
  app.notFound(async ({ req }) => {
    const asset = options.page && await pageAsset(req.raw, options.page);
    return asset ?? errorResponse(unknownRoute(req.method, req.path));
  });
  app.onError((error) => errorResponse(toHttpError(error)));
  return { fetch: async (request, caller) => await app.fetch(request, caller) };
}

/**
 * One client may fill only half of the queue where several keys tell clients apart: addresses do not,
 * since all programs of a machine, and all behind a proxy, have one.
 */
function queueOf(
  { engine, clock, access, maxWaiting = DEFAULT_MAX_WAITING }: ServerOptions,
): Queue {
  const hasOthers = (access?.apiKeys?.length ?? 0) > 1;
  const maxWaitingPerClient = hasOthers ? Math.max(1, Math.floor(maxWaiting / 2)) : maxWaiting;
  return new Queue({ engine, clock, maxWaiting, maxWaitingPerClient });
}

/** CORS everywhere but on the mesh, whose secret only the server's own page may read. */
function allowOrigins({ corsOrigins }: ServerOptions): MiddlewareHandler {
  const allow = cors({
    origin: corsOrigins === undefined ? "*" : [...corsOrigins],
    allowMethods: ["GET", "HEAD", "POST", "OPTIONS"],
    // No allowHeaders: whatever a preflight asks for is allowed, x-stainless-* among it.
    exposeHeaders: ["x-request-id", "retry-after"],
    maxAge: 600,
  });
  return (context, next) =>
    context.req.path.startsWith("/cluster/") ? next() : allow(context, next);
}

async function body(context: Context, options: ServerOptions): Promise<Record<string, unknown>> {
  requireReady(options);
  const maxBytes = options.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES;
  return await readJsonObject(context.req.raw, { maxBytes, clock: options.clock });
}

function senderOf(context: Context<RequestEnv>, { access }: ServerOptions): Sender {
  const origin = context.req.header("origin") ?? null;
  const isOwn = origin === null || access?.ownOrigins().includes(origin) === true;
  return {
    client: context.get("client"),
    foreignOrigin: isOwn ? null : origin,
    headerId: headerId(context),
    headerPriority: context.req.header("x-priority") ?? null,
    signal: context.req.raw.signal,
  };
}

function headerId(context: Context): string | null {
  const id = context.req.header("x-request-id");
  return id !== undefined && isRequestId(id) ? id : null;
}

function health(options: ServerOptions): Response {
  requireReady(options);
  const stats = options.engine.stats();
  return Response.json({
    status: "ok",
    model: options.model.id,
    num_running: stats.numRunning,
    num_waiting: stats.numWaiting,
    num_free_blocks: stats.numFreeBlocks,
    num_cached_blocks: stats.numCachedBlocks,
    num_blocks: stats.numBlocks,
    num_prompt_tokens: stats.numPromptTokens,
    num_cached_prompt_tokens: stats.numCachedPromptTokens,
    num_preemptions: stats.numPreemptions,
  });
}

function usage(origin: string, { version, model, access, cluster }: ServerOptions): string {
  const key = access?.apiKeys?.length ? "one of its API keys" : "any API key";
  const mesh = "GET  /cluster/status        GET  /cluster/events    GET  /cluster/join\n";
  return `Tessera ${version} serves ${model.id}

  curl ${origin}/v1/chat/completions -d '{"messages": [{"role": "user", "content": "Hello"}]}'

POST /v1/chat/completions   POST /v1/completions   POST /v1/stop_request
GET  /v1/models             GET  /health           GET  /version
${cluster ? mesh : ""}
Any OpenAI client works with the base URL ${origin}/v1 and ${key}
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
