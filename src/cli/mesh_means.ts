import type { MeshMeans } from "../mesh/join_mesh.ts";
import { nodeDatachannelRtc } from "../platform/node_datachannel.ts";
import { systemClock, systemRng } from "../platform/system.ts";
import { meshCrypto } from "../platform/web_crypto.ts";
import { openTextSocket } from "../platform/ws_socket.ts";

/** What a headless member of a mesh works with. Loads the WebRTC add-on. */
export function headlessMeans(): MeshMeans {
  return {
    rtc: nodeDatachannelRtc(),
    openSocket: openTextSocket,
    crypto: meshCrypto,
    clock: systemClock,
    rng: systemRng,
    dateMs: () => Date.now(),
  };
}
