/**
 * URLs that peers are told to read from.
 *
 * @module
 */

/** Addresses that mean something else on every machine and network. */
const PRIVATE_V4 =
  /^(0|10|127|169\.254|172\.(1[6-9]|2\d|3[01])|192\.168|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7]))\./;
const PRIVATE_V6 = /^\[(::|f[cd]|fe[89ab])/i;
const PRIVATE_NAME = /(^|\.)(localhost|local|internal|home\.arpa)\.?$/i;

/**
 * Whether anyone may be sent to `url`: HTTPS to a public name or address, without a password in it.
 * What is nearer than that, peers get from the coordinator.
 */
export function isSharedUrl(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname, username, password } = new URL(url);
  return protocol === "https:" && username === "" && password === "" && !isPrivate(hostname);
}

function isPrivate(hostname: string): boolean {
  return PRIVATE_V4.test(hostname) || PRIVATE_V6.test(hostname) || PRIVATE_NAME.test(hostname);
}
