import { isSharedUrl } from "../weights/shared_url.ts";

/** Hubs send readers on to a store of files, and that on to a place near them. */
const MAX_REDIRECTS = 5;

/**
 * Fetches a URL that somebody else named: neither it nor where it leads may be on this machine or
 * its network. Throws a TypeError as fetch does.
 */
export async function publicFetch(
  input: Request | URL | string,
  init: RequestInit = {},
): Promise<Response> {
  let url = input instanceof Request ? input.url : String(input);
  for (let numRedirects = 0; numRedirects <= MAX_REDIRECTS; numRedirects++) {
    if (!isSharedUrl(url)) {
      throw new TypeError(`"${new URL(url).origin}" is no public HTTPS address`);
    }
    const response = await fetch(url, { ...init, redirect: "manual" });
    const location = response.headers.get("location");
    if (response.status < 300 || response.status >= 400 || location === null) return response;
    await response.body?.cancel();
    url = new URL(location, url).href;
  }
  throw new TypeError(`More than ${MAX_REDIRECTS} redirects`);
}
