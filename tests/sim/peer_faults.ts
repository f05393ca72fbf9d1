import { GpuMemoryError } from "../../src/gpu/context.ts";
import type { FaultKind } from "./fault_kinds.ts";
import type { FaultCall, FaultEffect } from "./faults.ts";
import type { SimPeer } from "./sim_peer.ts";

/** How peers go wrong. */
export const PEER_FAULTS: Readonly<Partial<Record<FaultKind, FaultEffect>>> = {
  "goodbye": (call) => hit(call, ({ peer }) => void peer.leave("Its owner left")),
  "silent-death": (call) => hit(call, ({ node }) => node.die()),
  "wedge": (call) =>
    hit(call, (peer) => {
      if (peer.host.wedged !== null) return false;
      const { promise, resolve } = Promise.withResolvers<void>();
      peer.host.wedged = promise;
      call.later(call.fault.durationMs, () => {
        peer.host.wedged = null;
        resolve();
      });
    }, { isServing: true }),
  "sleep": (call) =>
    hit(call, (peer) => {
      peer.node.fallAsleep();
      call.later(call.fault.durationMs, () => {
        peer.node.wake();
        peer.absentSinceMs = null;
      });
    }),
  "restart": (call) =>
    hit(call, (peer) => {
      peer.node.die();
      const { world, fault } = call;
      call.later(fault.durationMs / 4, () => {
        if (world.peerOf(peer.peerId)?.isGone) world.join(peer.plan, peer.peerId);
      });
    }),
  "slow": (call) =>
    hit(call, ({ host }) => {
      host.slowness = 1 + 99 * call.fault.strength ** 2;
      call.later(call.fault.durationMs, () => host.slowness = 1);
    }),
  "out-of-memory": (call) =>
    hit(call, (peer) => failLoads(call, peer, () => new GpuMemoryError("Out of memory"))),
  "load-error": (call) =>
    hit(call, (peer) => failLoads(call, peer, () => new Error("A weight could not be read"))),
  "known-answer": (call) =>
    hit(call, (peer) => failLoads(call, peer, () => new Error("The known-answer test failed"))),
  "device-lost": (call) =>
    hit(call, ({ host }) => host.lose(new Error("GPU device lost (unknown): watchdog"))),
  "not-finite": (call) => breakSteps(call, "not-finite"),
  "wrong-length": (call) => breakSteps(call, "wrong-length"),
  "step-error": (call) => breakSteps(call, "step-error"),
  "pause": (call) =>
    hit(call, (peer) => {
      if (peer.isPaused) return false;
      peer.isPaused = true;
      void peer.peer.pause();
      call.later(call.fault.durationMs, () => {
        peer.isPaused = false;
        peer.peer.resume();
      });
    }),
  "late-join": ({ world, pick }) => {
    const plan = pick(world.plan.peers);
    if (plan === null || world.livePeers.length >= 12) return false;
    world.join(plan);
    return true;
  },
};

/** Hits one peer that is awake, or one of a stage. */
function hit(
  { world, fault, pick }: FaultCall,
  effect: (peer: SimPeer) => boolean | void,
  { isServing = fault.strength < 0.7 } = {},
): boolean {
  const awake = world.livePeers.filter(({ node }) => node.isAwake);
  const stages = awake.filter(({ peerId }) =>
    world.cluster.stages.some((stage) => stage.peerId === peerId)
  );
  const peer = pick(isServing && stages.length > 0 ? stages : awake);
  if (peer === null || effect(peer) === false) return false;
  if (!peer.node.isAwake || peer.isGone) peer.absentSinceMs ??= world.kernel.nowMs;
  return true;
}

/** The next loads of a peer fail, and one is asked of it. */
function failLoads(
  { world, fault }: FaultCall,
  { host, peer }: SimPeer,
  makeError: () => Error,
): void {
  const numFailures = 1 + Math.floor(fault.strength * 4);
  for (let i = 0; i < numFailures; i++) host.loadFaults.push(makeError());
  // Whoever serves is not asked to load again unless something else changes.
  if (world.cluster.stages.some(({ peerId }) => peerId === host.peerId)) {
    void peer.pause().then(() => peer.resume());
  }
}

function breakSteps(call: FaultCall, kind: "not-finite" | "wrong-length" | "step-error"): boolean {
  return hit(call, ({ host }) => {
    const numSteps = 1 + Math.floor(call.fault.strength * 3);
    for (let i = 0; i < numSteps; i++) host.stepFaults.push(kind);
    call.later(call.fault.durationMs, () => host.stepFaults.length = 0);
  }, { isServing: true });
}
