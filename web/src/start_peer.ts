import { joinMesh, type MeshMeans } from "../../src/mesh/join_mesh.ts";
import type { JoinLink } from "../../src/mesh/join_link.ts";
import { Peer } from "../../src/peer/peer.ts";
import { browserRtc } from "../../src/platform/browser_rtc.ts";
import { openTextSocket } from "../../src/platform/browser_socket.ts";
import { systemClock, systemRng } from "../../src/platform/system.ts";
import { meshCrypto } from "../../src/platform/web_crypto.ts";
import type { StageHost } from "../../src/stage/stage_host.ts";
import { VERSION } from "../../src/version.ts";
import type { HeldFile } from "../../src/weights/chunk_cache.ts";
import type { Settings } from "./settings.ts";

/** What joins. */
export interface StartPeerOptions {
  readonly link: JoinLink;
  readonly settings: Settings;
  readonly host: StageHost;
  readonly heldFiles: () => Promise<readonly HeldFile[]>;
}

/**
 * Joins the room of the link as a new peer, with a key that ends with the page. Throws an
 * IdentityError where the browser cannot make keys.
 */
export async function startPeer({ link, settings, host, heldFiles }: StartPeerOptions) {
  const means: MeshMeans = {
    rtc: browserRtc(),
    openSocket: openTextSocket,
    crypto: meshCrypto,
    clock: systemClock,
    rng: systemRng,
    dateMs: () => Date.now(),
  };
  return new Peer({
    ...{ host, heldFiles },
    mesh: await joinMesh(link, means),
    name: settings.name,
    memoryBytes: settings.memoryBytes,
    coordinatorId: link.coordinatorId,
    version: VERSION,
    clock: means.clock,
    rng: means.rng,
    onNotice: (text) => console.info(text),
  });
}
