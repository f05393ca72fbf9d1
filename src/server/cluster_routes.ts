import { Hono } from "hono";
import { clusterEvents } from "./cluster_events.ts";
import { HttpError } from "./errors.ts";
import type { ClusterView, ServerOptions } from "./options.ts";

/** Event streams that may be open at once. */
const MAX_STREAMS = 64;
const SVG = "image/svg+xml";

/** What these routes take of the server's options. */
export type ClusterRoutesOptions = Pick<ServerOptions, "clock" | "closing">;

/**
 * The mesh for people and pages: `/status`, `/events` and `/join`, below where they are mounted.
 * `/join` gives away the room's secret, so who may call is checked before.
 */
export function clusterRoutes(
  view: ClusterView,
  { clock, closing = new AbortController().signal }: ClusterRoutesOptions,
): Hono {
  let numStreams = 0;
  const routes = new Hono();
  routes.use(async (context, next) => {
    await next();
    context.header("cache-control", "no-store");
    context.header("referrer-policy", "no-referrer");
    context.header("x-content-type-options", "nosniff");
  });

  routes.get("/status", (context) => context.json(view.status()));
  routes.get("/events", () => {
    if (numStreams >= MAX_STREAMS) throw tooManyStreams();
    numStreams++;
    const onEnd = () => numStreams--;
    return new Response(clusterEvents(view, { clock, closing, onEnd }), {
      headers: { "content-type": "text/event-stream; charset=utf-8", "x-accel-buffering": "no" },
    });
  });
  routes.get("/join", ({ req }) => {
    const join = view.join();
    return wantsSvg(req.header("accept")) ? picture(join.qrSvg) : Response.json(join);
  });
  routes.get("/join.svg", () => picture(view.join().qrSvg));
  return routes;
}

function wantsSvg(accept: string | undefined): boolean {
  return accept?.split(",").some((type) => type.split(";")[0]?.trim().toLowerCase() === SVG) ??
    false;
}

function picture(svg: string): Response {
  return new Response(svg, {
    headers: { "content-type": SVG, "content-security-policy": "default-src 'none'" },
  });
}

function tooManyStreams(): HttpError {
  return new HttpError(503, `${MAX_STREAMS} streams of events are open: close one and try again`, {
    code: "too_many_streams",
    headers: { "retry-after": "5" },
  });
}
