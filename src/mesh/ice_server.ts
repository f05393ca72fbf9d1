/**
 * STUN and TURN servers as text: `stun:host:port`, `turn:user:password@host:port?transport=tcp`.
 *
 * @module
 */

/** Text that names no STUN or TURN server. */
export class IceServerError extends Error {
  override readonly name = "IceServerError";
}

const ICE =
  /^(stuns?|turns?):(?:([^:@]+):([^:@]+)@)?((?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?(?:\?transport=(?:udp|tcp))?)$/i;

/** Reads one server; user and password are percent-encoded. Throws an IceServerError. */
export function parseIceServer(text: string): RTCIceServer {
  const [, scheme = "", user, password, address = ""] = ICE.exec(text) ?? [];
  const isTurn = scheme.toLowerCase().startsWith("turn");
  if (scheme === "" || isTurn !== (user !== undefined)) throw unreadable();
  const urls = `${scheme.toLowerCase()}:${address}`;
  if (user === undefined || password === undefined) return { urls };
  try {
    return { urls, username: decodeURIComponent(user), credential: decodeURIComponent(password) };
  } catch {
    throw unreadable();
  }
}

/** Says nothing of what was given: a password must not show up in a message. */
function unreadable(): IceServerError {
  return new IceServerError(
    'An ICE server is written "stun:host:port" or "turn:user:password@host:port", with other ' +
      "characters than letters and digits of user and password as %XX",
  );
}

/** The text that `parseIceServer` reads. */
export function formatIceServer({ urls, username, credential }: RTCIceServer): string {
  const [scheme = "", ...rest] = String(urls).split(":");
  const address = rest.join(":");
  if (username === undefined) return `${scheme}:${address}`;
  const login = `${encodeURIComponent(username)}:${encodeURIComponent(String(credential))}`;
  return `${scheme}:${login}@${address}`;
}
