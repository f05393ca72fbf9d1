import { Cluster } from "../../src/cluster/cluster.ts";
import { placeEvenly } from "../../src/pipeline/place_evenly.ts";
import type { World } from "./world.ts";

/** The cluster of a world's plan. */
export function makeCluster(world: World): Cluster {
  const { plan, model, mesh, node, rng, kernel, reach, pipeline, limits } = world;
  const { evenStages } = plan;
  return new Cluster({
    mesh,
    name: "Simulation",
    version: "0",
    model: { name: "tiny", vocabSize: model.config.vocabSize },
    shelf: model.shelf,
    costs: model.costs(limits),
    limits: plan.limits,
    pool: plan.pool,
    isDeterministic: true,
    useF16Kv: null,
    hiddenType: "f32",
    minPeers: plan.minPeers,
    ...(evenStages !== null && { place: placeEvenly(evenStages) }),
    warmUp: (started, limits) => pipeline.warmUp(started, limits),
    clock: node,
    rng: rng.fork("cluster"),
    onNotice: (text) => {
      kernel.trace(() => `c0: ${text}`);
      if (text.startsWith("The layers could not be given out")) reach.count("path: start failed");
    },
  });
}
