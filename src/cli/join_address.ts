/** One address of this machine, as `Deno.networkInterfaces()` lists them. */
export interface NetworkAddress {
  readonly name: string;
  readonly family: "IPv4" | "IPv6";
  readonly address: string;
}

/** How the server listens. */
export interface ListenAddress {
  /** What it is bound to; "0.0.0.0" and "::" are all addresses. */
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
  readonly networkAddresses: readonly NetworkAddress[];
  /** What people outside reach it by, through a proxy or a tunnel; wins over all else. */
  readonly publicUrl?: string;
}

/** Where the join link leads. */
export interface JoinAddress {
  /** The origin that works from where the link will be opened. */
  readonly origin: string;
  /** Other origins that reach the same server. */
  readonly alternatives: readonly string[];
  /** What keeps the link from working elsewhere, and the fix; null when nothing does. */
  readonly note: string | null;
}

const LOOPBACK_NOTE =
  'This link works only on this machine: add "--host 0.0.0.0 --tls self-signed" to let others join';
const INSECURE_NOTE =
  'Other machines can join with "deno task node"; their browsers have WebGPU only over HTTPS: ' +
  'add "--tls self-signed"';
const OFFLINE_NOTE =
  "This machine has no network address: connect it to a network and start again to let others join";

/** Interfaces of containers and virtual machines, which others on the network do not reach. */
const VIRTUAL_INTERFACE = /^(docker|br-|veth|virbr|vmnet|vboxnet|vethernet|cni|flannel|lxc|lxd)/i;

/**
 * Chooses the origin of the join link. Throws a RangeError for a public URL that is more or less
 * than an origin.
 */
export function joinAddress(listen: ListenAddress): JoinAddress {
  const [local = "", ...others] = reachableOrigins(listen);
  if (listen.publicUrl === undefined) {
    return { origin: local, alternatives: others, note: noteOf(local, listen) };
  }
  const origin = publicOrigin(listen.publicUrl);
  const alternatives = [local, ...others].filter((other) => other !== origin);
  return { origin, alternatives, note: noteOf(origin, listen) };
}

/** True for names and addresses that lead to this machine from itself only. */
export function isLoopbackHost(host: string): boolean {
  return /^(localhost|127(\.\d+){3}|::1|\[::1\])$/i.test(host);
}

/** Every origin of the socket itself, best first. */
function reachableOrigins({ host, port, isTls, networkAddresses }: ListenAddress): string[] {
  const isIpv6 = host.includes(":");
  const own = isIpv6 ? ["localhost", "127.0.0.1", "::1"] : ["localhost", "127.0.0.1"];
  const hosts = isLoopbackHost(host)
    ? own.filter((name) => name === "localhost" || (name === "::1") === isIpv6)
    : isAnyAddress(host)
    ? [...lanAddresses(networkAddresses, { isIpv6 }), ...own]
    : [host];
  return hosts.map((name) => originOf(name, { port, isTls }));
}

function isAnyAddress(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

/** Addresses that others on the network reach, the most usual first. */
function lanAddresses(
  addresses: readonly NetworkAddress[],
  { isIpv6 }: { isIpv6: boolean },
): string[] {
  return addresses
    .filter(({ family, address }) => family === "IPv4" || isIpv6 && !/^fe[89ab]/i.test(address))
    .filter(({ address }) => !isLoopbackHost(address) && !address.startsWith("169.254."))
    .sort((a, b) => rankOf(a) - rankOf(b))
    .map(({ address }) => address);
}

function rankOf({ name, family, address }: NetworkAddress): number {
  if (VIRTUAL_INTERFACE.test(name)) return 5;
  if (family === "IPv6") return 4;
  if (address.startsWith("192.168.")) return 0;
  if (address.startsWith("10.")) return 1;
  return /^172\.(1[6-9]|2\d|3[01])\./.test(address) ? 2 : 3;
}

function originOf(host: string, { port, isTls }: { port: number; isTls: boolean }): string {
  const name = host.includes(":") ? `[${host}]` : host;
  return new URL(`${isTls ? "https" : "http"}://${name}:${port}`).origin;
}

function publicOrigin(publicUrl: string): string {
  const url = URL.parse(publicUrl);
  const isOrigin = url !== null && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`;
  if (isOrigin) return url.origin;
  throw new RangeError(
    `--public-url "${publicUrl}" is no origin: use one such as "https://gpu.example.org"`,
  );
}

function noteOf(origin: string, { host, publicUrl }: ListenAddress): string | null {
  const { hostname, protocol } = new URL(origin);
  if (isLoopbackHost(hostname)) {
    return isAnyAddress(host) && publicUrl === undefined ? OFFLINE_NOTE : LOOPBACK_NOTE;
  }
  return protocol === "https:" ? null : INSECURE_NOTE;
}
