/** Someone who wants to connect. */
export interface Visitor {
  /** IP address. */
  readonly address: string;
  /** The Origin header: the page that connects; null outside browsers. */
  readonly origin: string | null;
  /** The Host header: what the visitor calls this server. */
  readonly host: string | null;
}

/**
 * Whether the pages of an origin may connect. "self" in the list stands for pages that come from
 * the host that the visitor connects to. Programs that are not pages have no origin and may.
 */
export function isOriginAllowed(
  { origin, host }: Visitor,
  allowed: readonly string[],
): boolean {
  if (origin === null) return true;
  return allowed.some((entry) =>
    entry === "self" ? host !== null && URL.parse(origin)?.host === host : entry === origin
  );
}

/**
 * What connections are counted by: an IPv4 address, or the /64 network of an IPv6 one, because
 * whoever has one address there has all of them.
 */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.replace(/%.*$/, "").toLowerCase().split("::");
  const [first, last] = [groupsOf(head), groupsOf(tail ?? "")];
  const zeros = Array<string>(Math.max(0, 8 - first.length - last.length)).fill("0");
  return `${[...first, ...zeros, ...last].slice(0, 4).join(":")}::/64`;
}

/** Groups of an IPv6 address without leading zeros. */
function groupsOf(part: string): string[] {
  return part.split(":").filter((group) => group !== "").map((group) =>
    group.replace(/^0+(?=.)/, "")
  );
}
