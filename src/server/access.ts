import type { MiddlewareHandler } from "hono";
import { ApiKeys } from "./api_keys.ts";
import { requireOwnHost, requireOwnPage } from "./guard.ts";
import type { AccessOptions, ServerOptions } from "./options.ts";

/** What is known of a connection beside the request. */
export interface Caller {
  /** IP address, for counting wrong keys. */
  readonly remoteAddress?: string;
}

type Access = MiddlewareHandler<{ Bindings: Caller }>;

/** Where a server has no rules: the mesh answers nobody. */
const NO_ACCESS: AccessOptions = { ownOrigins: () => [], isLoopback: false };

/** Lets in only who calls the server by its name, where others could only be DNS rebinding. */
export function ownHost({ access = NO_ACCESS }: ServerOptions): Access {
  return async ({ req }, next) => {
    if (access.isLoopback) requireOwnHost(req.raw, access.ownOrigins());
    await next();
  };
}

/** Lets in only the server's own page and programs that are no browser. */
export function ownPage({ access = NO_ACCESS }: ServerOptions): Access {
  return async ({ req }, next) => {
    requireOwnPage(req.raw, access.ownOrigins());
    await next();
  };
}

/** Lets in only who shows an API key, where the server has any. */
export function apiKey({ access = NO_ACCESS, clock }: ServerOptions): Access {
  const { apiKeys = [] } = access;
  if (apiKeys.length === 0) return (_context, next) => next();
  const keys = new ApiKeys(apiKeys, clock);
  return async ({ req, env }, next) => {
    await keys.require(req.header("authorization") ?? null, env?.remoteAddress ?? "");
    await next();
  };
}
