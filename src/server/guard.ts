/**
 * Keeps other people's web pages out: a page anywhere may make its visitor's browser call a server
 * on the visitor's own machine or network, directly or by pointing its own name there (DNS
 * rebinding). What a browser cannot leave out or forge tells such calls apart: `Host`, `Origin` and
 * `Sec-Fetch-Site`.
 *
 * @module
 */
import { HttpError } from "./errors.ts";

/**
 * Throws a 403 unless the request calls the server by one of its own names. `ownOrigins` are exact,
 * such as "https://localhost:8420".
 */
export function requireOwnHost(request: Request, ownOrigins: readonly string[]): void {
  const host = hostOf(request);
  if (host !== null && ownOrigins.some((origin) => new URL(origin).host === host)) return;
  const names = ownOrigins.map((origin) => `"${new URL(origin).host}"`).join(" or ");
  throw new HttpError(
    403,
    `The Host "${host ?? ""}" is not one of this server's names: call it as ${names || "none"}`,
    { code: "host_not_allowed" },
  );
}

/** Throws a 403 also when a page of another origin, or of none, makes the call. */
export function requireOwnPage(request: Request, ownOrigins: readonly string[]): void {
  requireOwnHost(request, ownOrigins);
  const origin = request.headers.get("origin");
  const site = request.headers.get("sec-fetch-site");
  const isOwnOrigin = origin === null || ownOrigins.includes(origin);
  const isOwnSite = site === null || site === "same-origin" || site === "none";
  if (isOwnOrigin && isOwnSite) return;
  throw new HttpError(
    403,
    `Pages of ${origin ?? "other sites"} may not call this: open it from the server's own page`,
    { code: "origin_not_allowed" },
  );
}

/**
 * What the client takes the server for. HTTP/2, which browsers speak over TLS alone, has an
 * authority in place of the Host header; the URL holds it.
 */
function hostOf(request: Request): string | null {
  const header = request.headers.get("host");
  if (header !== null) return header.toLowerCase();
  const { protocol, host } = new URL(request.url);
  return protocol === "https:" ? host : null;
}
