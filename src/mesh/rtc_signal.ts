/**
 * What two ends tell each other to set up a connection: simple-peer's signals.
 *
 * @module
 */

/** One step. */
export type RtcSignal =
  | { readonly type: "offer" | "answer"; readonly sdp: string }
  | { readonly type: "candidate"; readonly candidate: RTCIceCandidateInit };

/** How signals get to the other side, and come from it: proven to be from it, and unchanged. */
export interface SignalExchange {
  send(signal: RtcSignal): void;
  /** Calls `onSignal` with what the other side sent; returns how to stop. */
  listen(onSignal: (signal: unknown) => void): () => void;
}

const MAX_SDP_LENGTH = 32 * 1024;
const MAX_CANDIDATE_LENGTH = 1024;
const MAX_MID_LENGTH = 16;

/** Null for what is no signal, and for simple-peer's requests to negotiate again. */
export function parseRtcSignal(signal: unknown): RtcSignal | null {
  const { type, sdp, candidate } = Object(signal);
  if (type === "offer" || type === "answer") {
    return typeof sdp === "string" && sdp.length <= MAX_SDP_LENGTH ? { type, sdp } : null;
  }
  if (type !== "candidate") return null;
  const { candidate: text, sdpMid } = Object(candidate);
  if (typeof text !== "string" || text.length > MAX_CANDIDATE_LENGTH) return null;
  if (typeof sdpMid !== "string" || sdpMid.length > MAX_MID_LENGTH) return null;
  // A connection without media has one section. libdatachannel does not tell its index, which
  // libwebrtc wants, and writes candidates as lines of SDP.
  const init = { candidate: text.replace(/^a=/, ""), sdpMid, sdpMLineIndex: 0 };
  return { type, candidate: init };
}
