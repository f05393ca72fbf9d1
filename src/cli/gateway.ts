import { type HttpServer, serveHttp } from "../../signaling/http_server.ts";
import { SignalingServer } from "../../signaling/server.ts";
import { signalingEndpoint } from "../../signaling/socket_endpoint.ts";
import { systemClock } from "../platform/system.ts";
import type { AccessOptions } from "../server/options.ts";
import type { Server } from "../server/server.ts";
import { cacheFolder } from "./cache_folder.ts";
import { isLoopbackHost, type JoinAddress, joinAddress } from "./join_address.ts";
import { readTls, type TlsFlags } from "./tls.ts";

/** The flags that say where and for whom the coordinator listens. */
export interface GatewayFlags extends TlsFlags {
  readonly host: string;
  readonly port: number;
  readonly publicUrl?: string;
  /** Where the page is hosted, if elsewhere. */
  readonly pageUrl?: string;
  readonly apiKey?: readonly string[];
}

/** The coordinator's one port: HTTP, the page, and signaling. */
export interface Gateway {
  readonly address: JoinAddress;
  /** For people at this machine. */
  readonly localUrl: string;
  /** The signaling server as others reach it, and as this process does. */
  readonly signalingUrl: string;
  readonly localSignalingUrl: string;
  readonly access: AccessOptions;
  /** Aborted when the server stops: ends what streams for ever. */
  readonly closing: AbortSignal;
  /** Takes no new requests and waits for running answers. */
  drain(): Promise<void>;
  /** Ends every connection. */
  close(): Promise<void>;
}

/** Where join links point by default. */
const SIGNALING_PATH = "/signaling";

const FAREWELL_MS = 1_000;

/** Everyone on this network could use the GPU and read the join link. */
export class ExposureError extends Error {
  override readonly name = "ExposureError";
}

/**
 * Listens; `serverNow` is asked at each request, and null is answered with 503. Throws an
 * ExposureError for an address that others reach without a key, and an Error for a taken port.
 */
export async function openGateway(
  flags: GatewayFlags,
  serverNow: () => Server | null,
): Promise<Gateway> {
  const { host, apiKey } = flags;
  const isLoopback = isLoopbackHost(host);
  if (!isLoopback && apiKey === undefined) {
    throw new ExposureError(
      `Others reach "${host}": choose a key that they must know, with --api-key KEY or ` +
        "TESSERA_API_KEY",
    );
  }
  const isTls = flags.tls !== undefined || flags.tlsCert !== undefined;
  const networkAddresses = Deno.networkInterfaces();
  const addressAt = (port: number) =>
    joinAddress({
      ...{ host, port, isTls, networkAddresses },
      ...(flags.publicUrl !== undefined && { publicUrl: flags.publicUrl }),
    });
  const closing = new AbortController();
  const signaling = new SignalingServer({
    clock: systemClock,
    // Pages that were not served for this mesh have no business in it.
    allowedOrigins: [
      "self",
      ...originsOf(addressAt(443)),
      ...(flags.pageUrl === undefined ? [] : [new URL(flags.pageUrl).origin]),
    ],
  });
  const endpoint = signalingEndpoint(signaling, { path: SIGNALING_PATH });
  const tls = await readTls(flags, {
    cacheFolder: cacheFolder(),
    hosts: originsOf(addressAt(443)).map((origin) => withoutBrackets(new URL(origin).hostname)),
    now: new Date(),
  });
  const http = await listen({
    ...{ hostname: host, port: flags.port, ...(tls && { tls }) },
    upgrade: (request, socket, head) => endpoint.upgrade(request, socket, head),
    handle: (request, remoteAddress) =>
      serverNow()?.fetch(request, { remoteAddress }) ?? notReady(request),
  });
  const signalingEnd = signaling.run(closing.signal);
  const address = addressAt(http.port);
  const localName = isLoopback || isAnyHost(host) ? "127.0.0.1" : host;
  const local = `${isTls ? "https" : "http"}://${localName}:${http.port}`;
  return {
    address,
    localUrl: local,
    signalingUrl: socketUrl(address.origin),
    localSignalingUrl: socketUrl(local),
    closing: closing.signal,
    access: {
      ownOrigins: () => originsOf(address),
      isLoopback,
      ...(apiKey && { apiKeys: apiKey }),
    },
    drain: async () => {
      // Streams of events would never end.
      closing.abort();
      await http.shutdown();
    },
    close: async () => {
      closing.abort();
      // Its clients are told before their sockets are cut.
      await Promise.race([signalingEnd, systemClock.sleep(FAREWELL_MS)]);
      await http.close();
    },
  };
}

async function listen(options: Parameters<typeof serveHttp>[0]): Promise<HttpServer> {
  try {
    return await serveHttp(options);
  } catch (cause) {
    const { hostname, port } = options;
    throw new Error(`Cannot listen on ${hostname}:${port}: choose another with --port`, { cause });
  }
}

function notReady(request: Request): Response {
  const error = {
    message: "The model is still loading: try again in a moment",
    type: "server_error",
    param: null,
    code: "not_ready",
  };
  const { pathname } = new URL(request.url);
  if (pathname === SIGNALING_PATH) return new Response("okay");
  return Response.json({ error }, { status: 503, headers: { "retry-after": "2" } });
}

function originsOf({ origin, alternatives }: JoinAddress): readonly string[] {
  return [origin, ...alternatives];
}

function socketUrl(origin: string): string {
  return `${origin.replace(/^http/, "ws")}${SIGNALING_PATH}`;
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[|\]$/g, "");
}

function isAnyHost(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}
