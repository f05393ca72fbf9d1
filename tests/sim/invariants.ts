import { maxBatchBytes } from "../../src/pipeline/batch_frame.ts";
import { InvariantError } from "./invariant_error.ts";
import type { SimLink } from "./link.ts";
import { MAX_LAYERS } from "./model.ts";
import type { World } from "./world.ts";

/** Listeners of one end of a link; more than these are leaked. */
const MAX_LISTENERS = 10;
/** One for each stage, and those of the pipeline before, or two parts of the weights. */
const MAX_WAITING_BATCHES = 2 * MAX_LAYERS + 2;

/** S8 and S11, when a batch of requests leaves the engine. */
export function checkStages(world: World, warmedUp: ReadonlySet<number>): void {
  const { cluster, mesh, plan } = world;
  const { stages, epoch } = cluster;
  // It has just been lost, and the engine is about to hear of it.
  if (stages.length === 0) return;
  let nextLayer = 0;
  for (const { peerId, shard } of stages) {
    if (shard.startLayer !== nextLayer || shard.endLayer <= nextLayer) {
      throw new InvariantError("S8", `Layer ${nextLayer} is missing or held twice`);
    }
    nextLayer = shard.endLayer;
    const isMember = cluster.members.some(({ link }) => link.peerId === peerId);
    if (!isMember || mesh.link(peerId) === null) {
      throw new InvariantError("S8", `A stage is on ${peerId}, which is not here`);
    }
  }
  if (nextLayer !== plan.numLayers) {
    throw new InvariantError("S8", `The stages end at layer ${nextLayer} of ${plan.numLayers}`);
  }
  if (!warmedUp.has(epoch)) throw new InvariantError("S11", `Epoch ${epoch} was not warmed up`);
}

/** S9 and S10, when links or members have changed. */
export function checkLinks({ cluster, peers, coordinatorId, net }: World): void {
  const ids = cluster.members.map(({ link }) => link.peerId);
  if (new Set(ids).size !== ids.length || ids.includes(coordinatorId)) {
    throw new InvariantError("S10", `The members are "${ids}"`);
  }
  for (const peer of peers) {
    if (peer.node.isDead) continue;
    const linked = peer.mesh.links.map(({ peerId }) => peerId);
    if (new Set(linked).size !== linked.length) {
      throw new InvariantError("S10", `${peer.node.name} has links to "${linked}"`);
    }
  }
  for (const { linkAtA, linkAtB } of net.cables) {
    for (const link of [linkAtA, linkAtB]) {
      if (link.numListeners <= MAX_LISTENERS) continue;
      throw new InvariantError("L2", `A link has ${link.numListeners} listeners`);
    }
  }
}

/** S9: what waits in a link is what its high mark allows, and the batches in flight. */
export function checkBuffer({ plan, model }: World, { mostBufferedBytes }: SimLink): void {
  const { limits, pool, net } = plan;
  const batchBytes = maxBatchBytes({ ...limits, numBlocks: pool.mostBlocks }, model.config);
  const mostBytes = net.highWaterBytes + MAX_WAITING_BATCHES * batchBytes;
  if (mostBufferedBytes <= mostBytes) return;
  throw new InvariantError("S9", `${mostBufferedBytes} bytes waited, at most ${mostBytes} may`);
}

/** L1, when nothing went wrong any more for long enough. */
export function checkEnds({ clients, faults }: World): void {
  for (const { end, error, index, numListeners } of clients) {
    if (end === null) throw new InvariantError("L1", `Request ${index} has not ended`);
    if (end === "error" && !faults.hasBrokenSteps) {
      throw new InvariantError("L1", `Request ${index} failed: ${error}`);
    }
    if (numListeners > 0) {
      throw new InvariantError("L2", `The signal of request ${index} is still listened to`);
    }
  }
}

/** L5: nobody is a member who is not alive; in the end, whoever is alive is one. */
export function checkMembers(
  world: World,
  { isGhostOnly }: { readonly isGhostOnly: boolean },
): void {
  const { members, alive } = membership(world);
  const ghosts = members.filter((id) => !alive.includes(id));
  if (ghosts.length > 0 || !isGhostOnly && !areMembersRight(world)) {
    throw new InvariantError("L5", `The members are "${members}", alive are "${alive}"`);
  }
}

export function areMembersRight(world: World): boolean {
  const { members, alive } = membership(world);
  return members.join() === alive.join();
}

function membership({ cluster, livePeers }: World) {
  return {
    members: cluster.members.filter(({ offer }) => offer !== null)
      .map(({ link }) => link.peerId).sort(),
    alive: livePeers.map(({ peerId }) => peerId).sort(),
  };
}

/** L1 and L2, once the coordinator is gone: requests are over, and peers hold nothing. */
export function checkAbandoned({ clients, peers }: World): void {
  for (const { end, index } of clients) {
    if (end === null) throw new InvariantError("L1", `Request ${index} outlived the engine`);
  }
  for (const { host, node, peer } of peers) {
    if (node.isDead || host.stage?.isClosed !== false) continue;
    const { state } = peer.view();
    throw new InvariantError("L2", `${node.name}, "${state}", holds a stage for nobody`);
  }
}

/** L2, once everyone has gone. */
export function checkLeftovers({ engine, kernel, peers, hasClosed }: World): void {
  if (!hasClosed) throw new InvariantError("L2", "The engine still waits for a batch");
  const { numRunning, numWaiting, numFreeBlocks, numBlocks } = engine.stats();
  if (numRunning + numWaiting > 0 || numFreeBlocks !== numBlocks) {
    throw new InvariantError(
      "L2",
      `${numRunning + numWaiting} sequences and ${numBlocks - numFreeBlocks} blocks are left`,
    );
  }
  for (const { host, node } of peers) {
    if (node.isDead || host.stage === null || host.stage.isClosed) continue;
    throw new InvariantError("L2", `${node.name} still holds a stage`);
  }
  const [first] = kernel.pending;
  if (first !== undefined) {
    const { length } = kernel.pending;
    const whose = `${first.node?.name ?? "the world"} at ${first.atMs.toFixed(0)}`;
    throw new InvariantError("L2", `${length} timers and messages are left, one of ${whose}`);
  }
}
