import type { MiddlewareHandler } from "hono";
import { ApiKeys } from "./api_keys.ts";
import { requireOwnHost, requireOwnPage } from "./guard.ts";
import type { AccessOptions, ServerOptions } from "./options.ts";
import type { Client } from "./sender.ts";

/** What is known of a connection beside the request. */
export interface Caller {
  /** IP address, for counting wrong keys and for telling clients without a key apart. */
  readonly remoteAddress?: string;
}

/** What a request carries through the routes. */
export interface RequestEnv {
  Bindings: Caller;
  /** Set behind `knownClient`. */
  Variables: { client: Client };
}

type Access = MiddlewareHandler<RequestEnv>;

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

/**
 * Lets in only who shows an API key, where the server has any, and notes who that is. Only a key or
 * the address makes a client: what a request says of its user would be a way to a larger share.
 */
export function knownClient({ access = NO_ACCESS, clock }: ServerOptions): Access {
  const { apiKeys = [] } = access;
  const keys = apiKeys.length > 0 ? new ApiKeys(apiKeys, clock) : null;
  return async (context, next) => {
    const address = context.env?.remoteAddress ?? "";
    const authorization = context.req.header("authorization") ?? null;
    const keyIndex = keys === null ? null : await keys.require(authorization, address);
    const id = keyIndex === null ? `address ${address}` : `key ${keyIndex}`;
    context.set("client", { id, keyIndex });
    await next();
  };
}
