import type { CandidateType } from "../../src/mesh/peer_link.ts";

/** What a candidate type means for people. */
export const ROUTES: Readonly<Record<CandidateType, string>> = {
  host: "Direct",
  srflx: "Direct, via router",
  prflx: "Direct, via router",
  relay: "Via a relay",
  memory: "Same process",
  unknown: "Not known yet",
};

/** A round-trip time, "–" while there is none. */
export function rttText(rttMs: number | null): string {
  return rttMs === null ? "–" : `${rttMs.toFixed(rttMs < 10 ? 1 : 0)} ms`;
}
