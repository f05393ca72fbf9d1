import type { MeshCrypto } from "../platform/platform.ts";
import { aborted } from "./aborted.ts";
import { bindChannel } from "./channel_binding.ts";
import { isAnnouncedFingerprint } from "./fingerprint.ts";
import type { Identity } from "./identity.ts";
import { LinkRefusedError } from "./link_refused_error.ts";
import { LinkClosedError, type PeerLink } from "./peer_link.ts";
import { RtcLink, type RtcLinkOptions } from "./rtc_link.ts";

const DIAL_DEADLINE_MS = 20_000;

/** Whom to dial, as whom, and with what. */
export interface DialOptions extends RtcLinkOptions {
  readonly crypto: MeshCrypto;
  /** Own. */
  readonly identity: Identity;
  /** Ends the attempt. */
  readonly signal?: AbortSignal;
}

/**
 * Connects to one peer. Both sides call it at the same time, one of them as the initiator, and get
 * signals of each other through `exchange`.
 *
 * @throws LinkClosedError when no connection comes about within 20 s; LinkRefusedError when the
 *   other side is not `peerId` or refuses this one; the signal's reason when aborted
 */
export async function dialLink(options: DialOptions): Promise<PeerLink> {
  const { clock, signal } = options;
  signal?.throwIfAborted();
  const link = new RtcLink(options);
  const attempt = new AbortController();
  const onAbort = () => attempt.abort(signal?.reason);
  signal?.addEventListener("abort", onAbort);
  const tooLate = new LinkClosedError(`No connection within ${DIAL_DEADLINE_MS / 1000} s`);
  clock.sleep(DIAL_DEADLINE_MS, attempt.signal).then(() => attempt.abort(tooLate), () => {});
  try {
    await Promise.race([proveEnds(link, options), aborted(attempt.signal)]);
  } catch (error) {
    link.close(error instanceof Error ? error.message : String(error));
    throw error;
  } finally {
    signal?.removeEventListener("abort", onAbort);
    attempt.abort();
  }
  link.start();
  return link;
}

async function proveEnds(link: RtcLink, options: DialOptions): Promise<void> {
  await link.connected();
  const { connection } = link;
  const [localFingerprint] = connection.fingerprints.local;
  const { remote } = connection.fingerprints;
  const [remoteFingerprint] = remote;
  if (localFingerprint === undefined || remoteFingerprint === undefined || remote.length !== 1) {
    throw new LinkRefusedError("The other side announced no certificate, or several");
  }
  const used = await options.rtc.remoteFingerprint(connection.native);
  if (used !== null && !isAnnouncedFingerprint(remote, used)) {
    throw new LinkRefusedError(
      `Swapped certificate: the other side announced "${remoteFingerprint}" and uses "${used}"`,
    );
  }
  const channel = {
    send: (message: Parameters<RtcLink["sendHandshake"]>[0]) => link.sendHandshake(message),
    receive: () => link.receiveHandshake(),
  };
  await bindChannel(channel, { ...options, localFingerprint, remoteFingerprint });
}
