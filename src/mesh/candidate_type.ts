import type { CandidateType } from "./peer_link.ts";

const TYPES = ["host", "srflx", "prflx", "relay"] as const;

/** How this end of a connection reaches the other, by its selected pair of candidates. */
export async function readCandidateType(
  connection: Pick<RTCPeerConnection, "getStats">,
): Promise<CandidateType> {
  const stats = new Map<unknown, Record<string, unknown>>();
  try {
    (await connection.getStats()).forEach((entry) => stats.set(entry.id, entry));
  } catch {
    return "unknown";
  }
  const transport = stats.values().find(({ type }) => type === "transport");
  // Firefox has no "transport" entry.
  const selected = stats.values().find(({ type, selected }) =>
    type === "candidate-pair" && selected === true
  );
  const pairId = transport?.["selectedCandidatePairId"] ?? selected?.["id"];
  const localId = stats.get(pairId)?.["localCandidateId"];
  const type = stats.get(localId)?.["candidateType"];
  return TYPES.find((known) => known === type) ?? "unknown";
}
