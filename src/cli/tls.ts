import { createPrivateKey, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { join } from "node:path";
import { type CertificatePair, selfSignedCertificate } from "../platform/self_signed.ts";
import { writePrivateFile } from "./private_file.ts";

const CACHE_FILE = "self_signed.pem";
/** A cached certificate is renewed when it has less than this to live. */
const RENEWAL_MS = 7 * 86_400_000;

/** The flags that choose a certificate. */
export interface TlsFlags {
  readonly tls?: "self-signed";
  /** PEM files. */
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

/** What the flags do not say. */
export interface TlsOptions {
  /** Where a self-signed certificate is kept, for people to accept it only once. */
  readonly cacheFolder: string;
  /** Host names and addresses that a self-signed certificate is for. */
  readonly hosts: readonly string[];
  readonly now: Date;
}

/** What a TLS server is given. */
export interface TlsCertificate extends CertificatePair {
  /** SHA-256 of the certificate as browsers show it, "AB:CD:...". */
  readonly fingerprint: string;
}

/**
 * The certificate that the flags ask for; null when they ask for none. Throws an Error that names
 * the flag for files that cannot be read, do not belong together or have expired.
 */
export async function readTls(
  flags: TlsFlags,
  options: TlsOptions,
): Promise<TlsCertificate | null> {
  const { tls, tlsCert, tlsKey } = flags;
  if (tls !== undefined && (tlsCert !== undefined || tlsKey !== undefined)) {
    throw new Error("--tls self-signed and --tls-cert exclude each other: use one");
  }
  if (tls !== undefined) return await selfSigned(options);
  if (tlsCert === undefined && tlsKey === undefined) return null;
  if (tlsCert === undefined) throw new Error("--tls-key needs --tls-cert FILE beside it");
  if (tlsKey === undefined) throw new Error("--tls-cert needs --tls-key FILE beside it");
  const cert = await readPem(tlsCert, "--tls-cert");
  const key = await readPem(tlsKey, "--tls-key");
  const certificate = parse(() => new X509Certificate(cert), `"${tlsCert}" is no PEM certificate`);
  const privateKey = parse(() => createPrivateKey(key), `"${tlsKey}" is no PEM private key`);
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new Error(`The key in "${tlsKey}" does not belong to the certificate in "${tlsCert}"`);
  }
  if (certificate.validToDate < options.now) {
    throw new Error(`The certificate in "${tlsCert}" expired on ${certificate.validTo}: renew it`);
  }
  return { cert, key, fingerprint: certificate.fingerprint256 };
}

/** The cached certificate while it will do, else a new one. */
async function selfSigned(options: TlsOptions): Promise<TlsCertificate> {
  const path = join(options.cacheFolder, CACHE_FILE);
  const cached = usablePair(await Deno.readTextFile(path).catch(() => ""), options);
  if (cached !== null) return cached;
  const pair = await selfSignedCertificate(options);
  try {
    await writePrivateFile(path, pair.cert + pair.key);
  } catch (cause) {
    throw new Error(`Cannot keep the certificate in "${path}": make the folder writable`, {
      cause,
    });
  }
  return { ...pair, fingerprint: new X509Certificate(pair.cert).fingerprint256 };
}

/** What `selfSigned()` wrote, if it is for all hosts and lives long enough. */
function usablePair(text: string, { hosts, now }: TlsOptions): TlsCertificate | null {
  const start = text.indexOf("-----BEGIN PRIVATE KEY-----");
  const [cert, key] = [text.slice(0, start), text.slice(start)];
  try {
    const certificate = new X509Certificate(cert);
    const isFor = (host: string) =>
      isIP(host) > 0 ? certificate.checkIP(host) : certificate.checkHost(host);
    const isUsable = certificate.checkPrivateKey(createPrivateKey(key)) &&
      certificate.validFromDate <= now &&
      certificate.validToDate.getTime() - now.getTime() > RENEWAL_MS &&
      hosts.every((host) => isFor(host) !== undefined);
    return isUsable ? { cert, key, fingerprint: certificate.fingerprint256 } : null;
  } catch {
    return null;
  }
}

async function readPem(path: string, flag: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    throw new Error(`Cannot read "${path}" of ${flag}: check its path and permissions`, { cause });
  }
}

function parse<T>(read: () => T, message: string): T {
  try {
    return read();
  } catch (cause) {
    throw new Error(`${message}: give one in PEM form, without a passphrase`, { cause });
  }
}
