/**
 * A node of the benches as a page: like the page that lends a GPU, it has the connections, and its
 * worker the device.
 *
 * @module
 */
import { joinMesh } from "../../src/mesh/join_mesh.ts";
import { parseJoinLink } from "../../src/mesh/join_link.ts";
import { browserRtc } from "../../src/platform/browser_rtc.ts";
import { openTextSocket } from "../../src/platform/browser_socket.ts";
import { systemClock, systemRng } from "../../src/platform/system.ts";
import { meshCrypto } from "../../src/platform/web_crypto.ts";
import { openWorkerStageHost } from "../../web/src/open_worker_stage_host.ts";
import { serveOrders } from "./node.ts";

const worker = new Worker("/tab_worker.js", { type: "module" });
const host = await openWorkerStageHost(
  { end: worker, terminate: () => worker.terminate() },
  { signal: new AbortController().signal },
);
const mesh = await joinMesh(parseJoinLink(location.href), {
  rtc: browserRtc(),
  openSocket: openTextSocket,
  crypto: meshCrypto,
  clock: systemClock,
  rng: systemRng,
  dateMs: () => Date.now(),
});
serveOrders(mesh, systemClock, {
  adapterName: host.device.adapterName,
  make: ({ shard, hiddenSize, limits }) =>
    host.load({
      manifest: { name: "", hfConfig: { hidden_size: hiddenSize }, files: [], tensors: [] },
      ...{ shard, limits, isDeterministic: null, useF16Kv: null },
    }, { readFromCoordinator: () => Promise.reject(new Error("There is nothing to read")) }),
});
