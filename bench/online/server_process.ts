/**
 * The server that the online bench asks, as a process of its own: a coordinator and a peer on this
 * machine's GPU, linked as those of `run` are, behind a port on loopback. Its arguments are those of
 * the bench. It ends when its stdin does.
 *
 * @module
 */
import { serveHttp } from "../../signaling/http_server.ts";
import { openLentGpu } from "../../src/cli/lent_gpu.ts";
import { startCoordinator } from "../../src/coordinator.ts";
import { BLOCK_SIZE } from "../../src/core.ts";
import { Mesh } from "../../src/mesh/mesh.ts";
import { soloRoom } from "../../src/mesh/solo_room.ts";
import { startLocalPeers } from "../../src/peer/local_peers.ts";
import { systemClock, systemRng } from "../../src/platform/system.ts";
import { meshCrypto } from "../../src/platform/web_crypto.ts";
import { VERSION } from "../../src/version.ts";
import type { ModelSource } from "../../src/weights/model_source.ts";
import { openBenchModel } from "../model_choice.ts";
import { type BenchOptions, parseOptions } from "../options.ts";
import { shapeConfig } from "../shapes.ts";
import type { ReadyLine } from "./ready_line.ts";
import { asFile } from "./synthetic_file.ts";
import { capacityFor, workloadOf } from "./workload.ts";

const options = parseOptions(Deno.args);
const { adapter, isDeterministic, isChecked } = options;
const gpu = await openLentGpu({
  backend: "auto",
  checked: isChecked,
  ...(adapter !== null && { adapter }),
  ...(isDeterministic !== null && { deterministic: isDeterministic }),
});
const startMs = performance.now();
const { capabilities } = gpu.context;
const source = await openServedModel(options);
const meshes = ["c", "d"].map((digit) =>
  new Mesh({
    room: soloRoom(digit.repeat(32)),
    dial: () => Promise.reject(new Error("This mesh is one process")),
    clock: systemClock,
  })
);
const [coordinatorMesh, peerMesh] = meshes as [Mesh, Mesh];
const common = { name: "Bench", version: VERSION, clock: systemClock, rng: systemRng };
let isServing = false;
const coordinator = await startCoordinator({
  ...common,
  ...{ source, crypto: meshCrypto, mesh: coordinatorMesh, now: () => new Date() },
  limits: capacityFor(workloadOf(options, capabilities.isSoftware)),
  placement: { isDeterministic },
  onNotice: (text) => {
    if (!isServing) console.error(text);
  },
});
const { cluster, engine, server, config } = coordinator;
const serving = new Promise<void>((resolve) => {
  cluster.condition.onChange(() => {
    const { state, note } = cluster.condition;
    if (state === "serving") resolve();
    else if (note !== null && !isServing) console.error(note);
  });
});
const [peer] = await startLocalPeers({
  ...common,
  coordinator: coordinatorMesh,
  hosts: [gpu.host(null)],
  join: () => Promise.resolve(peerMesh),
  memoryBytes: gpu.memoryBytes,
});
await serving;
isServing = true;
const http = await serveHttp({
  ...{ hostname: "127.0.0.1", port: 0 },
  handle: (request, remoteAddress) => server.fetch(request, { remoteAddress }),
});
const ready: ReadyLine = {
  url: `http://127.0.0.1:${http.port}`,
  model: source.name,
  vocabSize: config.vocabSize,
  adapter: capabilities.adapterName,
  isSoftware: capabilities.isSoftware,
  isDeterministic: isDeterministic ?? capabilities.isSoftware,
  kvTokens: engine.stats().numBlocks * BLOCK_SIZE,
  weightBytes: cluster.members.reduce((sum, { load }) => sum + (load?.loadedBytes ?? 0), 0),
  loadMs: performance.now() - startMs,
};
console.log(JSON.stringify(ready));

for await (const _ of Deno.stdin.readable) { /* nothing is said there */ }
await http.close();
await coordinator.close();
await peer?.leave("The bench is over");
for (const mesh of meshes) mesh.close("The bench is over");
Deno.exit(0);

async function openServedModel(options: BenchOptions): Promise<ModelSource> {
  const model = await openBenchModel(options);
  if (options.shape === null) return model;
  return asFile(model, shapeConfig(options.shape));
}
