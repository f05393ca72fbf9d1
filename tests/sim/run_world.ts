import { withoutAmbient } from "./ambient.ts";
import type { InvariantError } from "./invariant_error.ts";
import {
  areMembersRight,
  checkAbandoned,
  checkEnds,
  checkLeftovers,
  checkMembers,
} from "./invariants.ts";
import type { SimEvent } from "./kernel.ts";
import { checkIdlePeers, checkOrder, checkStatus, TICK_MS } from "./ticks.ts";
import { World, type WorldOptions } from "./world.ts";

/** What a run came to. */
export interface Outcome {
  readonly failure: InvariantError | null;
  /** Of all that happened; u32. */
  readonly hash: number;
  readonly numEvents: number;
  /** Batches of the engine. */
  readonly numSteps: number;
  readonly virtualMs: number;
  readonly numFaults: number;
  readonly reach: ReadonlyMap<string, number>;
}

/** When nothing goes wrong, something must happen to some request within this time. */
const LIVENESS_MS = 400_000;
/** Whoever is gone is no member any more by then. */
const GHOST_MS = 5_000;
/** Whoever is alive is a member by then: a dial that lost its signals takes 20 s to fail. */
const MEMBERSHIP_MS = 32_000;
/** Peers free everything once their coordinator is gone. */
const COORDINATOR_GONE_MS = 15_000;
/** After everyone has gone: goodbyes arrive. */
const LEAVING_MS = 30_000;

/** Runs a world from its beginning to the end. */
export async function runWorld(options: WorldOptions): Promise<Outcome> {
  return await withoutAmbient(async () => {
    const world = new World(options);
    const { kernel } = world;
    const onRejection = (event: PromiseRejectionEvent) => {
      event.preventDefault();
      world.fail(event.reason);
    };
    globalThis.addEventListener("unhandledrejection", onRejection);
    try {
      await live(world);
    } catch (error) {
      world.fail(error);
    } finally {
      globalThis.removeEventListener("unhandledrejection", onRejection);
    }
    countTotals(world);
    return {
      failure: world.failure,
      hash: kernel.hash,
      numEvents: kernel.numEvents,
      numSteps: world.pipeline.numSteps,
      virtualMs: kernel.nowMs,
      numFaults: world.faults.numFired,
      reach: world.reach.counts,
    };
  });
}

async function live(world: World): Promise<void> {
  const { kernel, plan } = world;
  const run = (limitMs: number, until: () => boolean) =>
    kernel.run({
      limitMs,
      until: () => world.failure !== null || until(),
      afterEvent: () => world.checkAfterEvent(),
    });
  const stopTicks = tick(world);
  await run(plan.calmMs, () => false);
  calmDown(world);
  if (plan.closesEarly) {
    world.reach.count("path: stopped with requests under way");
    closeCoordinator(world);
    await run(kernel.nowMs + COORDINATOR_GONE_MS, () => false);
    if (world.failure !== null) return;
    checkAbandoned(world);
    stopTicks();
    leave(world);
    await run(kernel.nowMs + LEAVING_MS, () => false);
    if (world.failure === null) checkLeftovers(world);
    return;
  }
  await run(plan.calmMs + GHOST_MS, () => false);
  if (world.failure !== null) return;
  checkMembers(world, { isGhostOnly: true });
  await run(plan.calmMs + MEMBERSHIP_MS, () => areMembersRight(world));
  if (world.failure !== null) return;
  checkMembers(world, { isGhostOnly: false });
  while (world.failure === null && !world.hasEnded) {
    const { progress } = world;
    await run(kernel.nowMs + LIVENESS_MS, () => world.hasEnded);
    if (world.progress === progress) break;
  }
  if (world.failure !== null) return;
  checkEnds(world);
  checkOrder(world);
  stopTicks();
  leave(world);
  await run(kernel.nowMs + LEAVING_MS, () => false);
  if (world.failure !== null) return;
  checkLeftovers(world);
}

/** Looks at the slow invariants now and then. */
function tick(world: World): () => void {
  const { kernel } = world;
  let event: SimEvent;
  const next = () => {
    event = kernel.schedule(TICK_MS, null, () => {
      world.guard(() => {
        checkStatus(world);
        checkIdlePeers(world);
      });
      next();
    });
  };
  next();
  return () => kernel.cancel(event);
}

/** What is broken is mended, and those that have gone are made up for. */
function calmDown(world: World): void {
  world.isCalm = true;
  world.kernel.note("Calm");
  world.faults.endAll();
  for (const { host } of world.peers) {
    host.loadFaults.length = 0;
    host.stepFaults.length = 0;
  }
  for (const { linkAtA, linkAtB } of world.net.cables) linkAtA.numToLose = linkAtB.numToLose = 0;
  // The others may be too small, or may have been found to be.
  if (world.plan.evenStages === null) world.join(world.plan.relief);
  for (const { plan } of world.peers.filter(({ isGone }) => isGone)) {
    if (world.livePeers.length < world.plan.peers.length) world.join(plan);
  }
}

function leave(world: World): void {
  for (const { peer, node } of world.peers) if (!node.isDead) void peer.leave("The run is over");
  if (!world.isClosing) closeCoordinator(world);
}

function closeCoordinator(world: World): void {
  world.isClosing = true;
  world.cluster.close();
  world.engine.close().then(() => world.hasClosed = true, (error) => world.fail(error));
  world.mesh.close("The run is over");
}

function countTotals({ engine, reach }: World): void {
  const { numPreemptions, numCachedPromptTokens } = engine.stats();
  if (numPreemptions > 0) reach.count("path: preemption", numPreemptions);
  reach.count("total: cached prompt tokens", numCachedPromptTokens);
}
