import type { SimCable } from "./cable.ts";
import type { FaultKind } from "./fault_kinds.ts";
import type { FaultCall, FaultEffect } from "./faults.ts";
import type { LineQuality } from "./wire.ts";

/** How the network goes wrong. */
export const NET_FAULTS: Readonly<Partial<Record<FaultKind, FaultEffect>>> = {
  "delay": (call) => worsen(call, { delayMs: 2_000 * call.fault.strength ** 3 }),
  "loss": (call) => worsen(call, { loss: 0.05 + 0.4 * call.fault.strength }),
  "bandwidth": (call) => worsen(call, { bytesPerMs: 0.5 + 20 * call.fault.strength }),
  "duplicate": (call) => deliverAgain(call, { isStale: false }),
  "stale-frame": (call) => deliverAgain(call, { isStale: true }),
  "frame-lost": ({ world, fault, pick }) => {
    const { net, tap, cluster, coordinatorId } = world;
    const possible = [...net.cables].filter(isEstablished)
      .flatMap(({ linkAtA, linkAtB }) => [linkAtA, linkAtB])
      .filter((link) => tap.pastFrames.get(link)?.has(cluster.epoch))
      // Mostly of those with batches: the next one shows that one is missing.
      .filter(({ ownId }) => fault.strength < 0.2 || ownId !== coordinatorId);
    const link = pick(possible);
    if (link === null || cluster.numStages === 0) return false;
    link.numToLose++;
    return true;
  },
  "swizzle": ({ world, fault, rng, later }) => {
    const cables = rng.half([...world.net.cables]);
    for (const cable of cables) {
      const wires = rng.half([...Object.values(cable.toA), ...Object.values(cable.toB)]);
      for (const wire of wires) {
        wire.block();
        later(rng.between(0, Math.min(fault.durationMs, 4_000)), () => wire.unblock());
      }
    }
    return cables.length > 0;
  },
  "lane-clog": ({ world, fault, rng, later, pick }) => {
    const cable = pick([...world.net.cables]);
    if (cable === null) return false;
    const wires = rng.chance(0.5) ? cable.toA : cable.toB;
    const wire = rng.chance(0.8) ? wires.hot : wires.bulk;
    wire.block();
    later(fault.durationMs, () => wire.unblock());
    return true;
  },
  "one-way-partition": (call) => part(call, { isTwoWay: false }),
  "partition": (call) => part(call, { isTwoWay: true }),
  "link-close": ({ world, rng, pick }) => {
    const cable = pick([...world.net.cables].filter(isEstablished));
    if (cable === null) return false;
    const link = rng.chance(0.5) ? cable.linkAtA : cable.linkAtB;
    // With or without what is still on its way.
    if (rng.chance(0.5)) { for (const lane of ["hot", "bulk"] as const) link.wires[lane].cut(); }
    link.close("The network changed");
    return true;
  },
  "link-cut": ({ world, pick }) => {
    const cable = pick([...world.net.cables].filter(isEstablished));
    cable?.cut();
    return cable !== null;
  },
  "signaling-lost": ({ world, fault, later }) => {
    world.net.signaling.fail();
    later(fault.durationMs, () => world.net.signaling.comeBack());
    return true;
  },
};

function isEstablished({ linkAtA, linkAtB }: SimCable): boolean {
  return linkAtA.closedReason === null && linkAtB.closedReason === null;
}

function worsen({ world, fault, later, pick }: FaultCall, worse: Partial<LineQuality>): boolean {
  const cable = pick([...world.net.cables]);
  if (cable === null) return false;
  Object.assign(cable.quality, worse);
  later(fault.durationMs, () => Object.assign(cable.quality, cable.usualQuality));
  return true;
}

/** One frame of the receiver's epoch, or of an earlier one. */
function deliverAgain(
  { world, fault, pick, rng }: FaultCall,
  { isStale }: { readonly isStale: boolean },
): boolean {
  const { cluster, steps, tap, coordinatorId } = world;
  // Most of the stale ones come at the worst moment, some of them to the coordinator.
  const waitsForMoment = isStale && fault.strength > 0.2;
  const waitsForTokens = isStale && fault.strength > 0.6;
  const lastStage = cluster.stages.at(-1)?.peerId;
  const possible = [...tap.pastFrames].flatMap(([link, byEpoch]) => {
    const now = world.epochOf(link.ownId);
    if (link.closedReason !== null || !link.node.isAwake || now === null) return [];
    const isTokens = link.ownId === coordinatorId;
    if (waitsForTokens && !(isTokens && link.peerId === lastStage)) return [];
    const receiver = { epoch: now, peer: world.peerOf(link.ownId) };
    return [...byEpoch].flatMap(([epoch, frames]) => {
      if ((epoch !== now) !== isStale) return [];
      const chosen = waitsForMoment
        ? frames.filter((frame) => steps.isTempting(frame, receiver))
        : frames;
      return chosen.length > 0 ? [{ link, frames: chosen }] : [];
    });
  });
  const picked = pick(possible);
  if (picked === null) return false;
  const { link, frames } = picked;
  const frame = rng.pick(frames);
  world.kernel.schedule(0, link.node, () => link.deliverAgain(frame));
  return true;
}

function part(
  { world, fault, rng, later, pick }: FaultCall,
  { isTwoWay }: { readonly isTwoWay: boolean },
): boolean {
  const { coordinatorId, livePeers, net } = world;
  const ids = [coordinatorId, ...livePeers.map(({ peerId }) => peerId)];
  const from = pick(ids);
  const others = ids.filter((id) => id !== from);
  if (from === null || others.length === 0) return false;
  // From one other, or from everyone.
  for (const to of rng.chance(0.5) ? others : [rng.pick(others)]) {
    net.part(from, to);
    if (isTwoWay) net.part(to, from);
    later(fault.durationMs, () => {
      net.heal(from, to);
      if (isTwoWay) net.heal(to, from);
    });
  }
  return true;
}
