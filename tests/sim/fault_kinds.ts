/** What can go wrong. What each one does is in peer_faults.ts and net_faults.ts. */
export const FAULT_KINDS = [
  // A peer
  "goodbye",
  "silent-death",
  "wedge",
  "sleep",
  "restart",
  "slow",
  "out-of-memory",
  "load-error",
  "known-answer",
  "device-lost",
  "not-finite",
  "wrong-length",
  "step-error",
  "pause",
  "late-join",
  // The network
  "delay",
  "loss",
  "duplicate",
  "stale-frame",
  "frame-lost",
  "swizzle",
  "lane-clog",
  "one-way-partition",
  "partition",
  "bandwidth",
  "link-close",
  "link-cut",
  "signaling-lost",
] as const;

export type FaultKind = typeof FAULT_KINDS[number];

/** A request whose step fails for one of these ends with an error. */
export const STEP_FAULTS: ReadonlySet<FaultKind> = new Set([
  "not-finite",
  "wrong-length",
  "step-error",
  "frame-lost",
]);
