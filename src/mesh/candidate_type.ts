import type { CandidateType } from "./peer_link.ts";

const TYPES = ["host", "srflx", "prflx", "relay"] as const;

/** How this end of a connection reaches the other, by its selected pair of candidates. */
export async function readCandidateType(
  connection: Pick<RTCPeerConnection, "getStats">,
): Promise<CandidateType> {
  const stats = new Map<unknown, Record<string, unknown>>();
  let pairId: unknown;
  try {
    (await connection.getStats()).forEach((entry) => stats.set(entry.id, entry));
  } catch {
    return "unknown";
  }
  for (const entry of stats.values()) {
    if (entry["type"] === "transport") pairId ??= entry["selectedCandidatePairId"];
    // Firefox has no "transport" entry.
    if (entry["type"] === "candidate-pair" && entry["selected"] === true) pairId ??= entry["id"];
  }
  const localId = stats.get(pairId)?.["localCandidateId"];
  const type = stats.get(localId)?.["candidateType"];
  return TYPES.find((known) => known === type) ?? "unknown";
}
