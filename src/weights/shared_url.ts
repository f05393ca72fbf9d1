/**
 * URLs that peers are told to read from.
 *
 * @module
 */

/**
 * Whether anyone may be sent to `url`: HTTPS, or HTTP to the machine itself, without a password in
 * it.
 */
export function isSharedUrl(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname, username, password } = new URL(url);
  if (username !== "" || password !== "") return false;
  return protocol === "https:" || (protocol === "http:" && isLoopback(hostname));
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d+){3}$/.test(hostname);
}
