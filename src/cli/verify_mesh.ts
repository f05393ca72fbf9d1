import { Cluster } from "../cluster/cluster.ts";
import { ManifestShelf } from "../cluster/manifest_shelf.ts";
import { joinMesh } from "../mesh/join_mesh.ts";
import { formatJoinLink, generateJoinLink } from "../mesh/join_link.ts";
import type { Mesh } from "../mesh/mesh.ts";
import { architectureOf } from "../models/registry.ts";
import { fixedPool } from "../pipeline/kv_pool.ts";
import { placeEvenly } from "../pipeline/place_evenly.ts";
import { systemClock, systemRng } from "../platform/system.ts";
import { meshCrypto } from "../platform/web_crypto.ts";
import { modelCosts } from "../stage/model_costs.ts";
import type { StageLimits } from "../stage/stage_limits.ts";
import type { VerifyPipeline, VerifyTarget } from "../verify.ts";
import { VERSION } from "../version.ts";
import { ModelShare } from "../weights/model_share.ts";
import type { ModelSource } from "../weights/model_source.ts";
import { openGateway } from "./gateway.ts";
import type { GpuFlags } from "./gpu.ts";
import { headlessMeans } from "./mesh_means.ts";
import { NodeProcesses } from "./node_processes.ts";

/** Runs cases on the GPUs of other processes. */
export interface VerifyMesh extends VerifyTarget {
  /** Ends the processes. */
  close(): Promise<void>;
}

/** All nodes measure their device and hold their layers within this time. */
const START_DEADLINE_MS = 120_000;
const NAME = "Verification";

/**
 * Starts `numPeers` processes that lend the GPU of `gpu`, and a mesh of this process and them. This
 * process computes nothing.
 */
export async function openVerifyMesh(
  numPeers: number,
  gpu: GpuFlags,
): Promise<VerifyMesh> {
  const means = headlessMeans();
  const gateway = await openGateway({ host: "127.0.0.1", port: 0 }, () => null);
  let mesh: Mesh | null = null;
  let nodes: NodeProcesses | null = null;
  const close = async () => {
    mesh?.close("The verification is over");
    await nodes?.close();
    await gateway.close();
    means.rtc.close();
  };
  try {
    const link = generateJoinLink(meshCrypto, { pageUrl: `${gateway.localUrl}/` });
    mesh = await joinMesh(link, means);
    nodes = await NodeProcesses.start({ count: numPeers, link: formatJoinLink(link), gpu });
    return verifyMesh({ mesh, nodes, numPeers, gpu }, close);
  } catch (error) {
    await close();
    throw error;
  }
}

function verifyMesh(
  { mesh, nodes, numPeers, gpu }: {
    readonly mesh: Mesh;
    readonly nodes: NodeProcesses;
    readonly numPeers: number;
    readonly gpu: GpuFlags;
  },
  close: () => Promise<void>,
): VerifyMesh {
  const adapters = new Set<string>();
  return {
    get adapter() {
      return [...adapters].join(", ");
    },
    numStages: numPeers,
    numPeers,
    close,
    loadStage: null,
    open: async (source, limits) => {
      const cluster = clusterFor(source, { mesh, numPeers, gpu, limits });
      const leave = () => {
        cluster.close();
        // The next model has a new coordinator, which knows its peers by new links.
        for (const link of mesh.links) link.close("The case is over");
      };
      try {
        await serving(cluster, nodes);
      } catch (error) {
        leave();
        throw error;
      }
      for (const { offer } of cluster.members) if (offer) adapters.add(offer.device.adapterName);
      return { pipeline: onceOnly(cluster), vocabSize: configOf(source).vocabSize, close: leave };
    },
  };
}

function clusterFor(
  source: ModelSource,
  { mesh, numPeers, gpu, limits }: {
    readonly mesh: Mesh;
    readonly numPeers: number;
    readonly gpu: GpuFlags;
    readonly limits: StageLimits;
  },
): Cluster {
  const architecture = architectureOf(source.hfConfig);
  const config = configOf(source);
  const model = { architecture, config };
  const useF16Kv = gpu.kv === "f16";
  const cluster = new Cluster({
    ...{ mesh, limits, useF16Kv, name: NAME, version: VERSION },
    ...{ clock: systemClock, rng: systemRng },
    model: { name: source.name, vocabSize: config.vocabSize },
    shelf: new ManifestShelf({ share: new ModelShare(source), model, crypto: meshCrypto }),
    costs: modelCosts({ source, ...model, limits }),
    pool: fixedPool(limits.numBlocks),
    isDeterministic: gpu.deterministic ?? null,
    hiddenType: "f32",
    minPeers: numPeers,
    place: placeEvenly(numPeers),
    warmUp: () => Promise.resolve(),
    onNotice: () => {},
  });
  mesh.announce("coordinator");
  return cluster;
}

function configOf({ hfConfig }: ModelSource) {
  return architectureOf(hfConfig).readConfig(hfConfig);
}

/** Waits for the pipeline. Throws what keeps it from starting. */
async function serving({ condition }: Cluster, nodes: NodeProcesses): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const waiting = new AbortController();
  const stopListening = condition.onChange(() => {
    const { state, note } = condition;
    if (state === "serving") resolve();
    else if (state !== "waiting" && note !== null) reject(new Error(note));
  });
  systemClock.sleep(START_DEADLINE_MS, waiting.signal).then(
    () => reject(new Error(`No pipeline after ${START_DEADLINE_MS / 1000} s: ${condition.note}`)),
    () => {},
  );
  nodes.lost.then(reject);
  try {
    await promise;
  } finally {
    stopListening();
    waiting.abort();
  }
}

/** The pipeline that serves now: a verification waits for no other. */
function onceOnly(cluster: Cluster): VerifyPipeline["pipeline"] {
  return {
    numStages: cluster.numStages,
    forward: async (batch) => {
      try {
        return await cluster.forward(batch);
      } catch (cause) {
        throw new Error(`A batch failed: ${(cause as Error).message}`, { cause });
      }
    },
  };
}
