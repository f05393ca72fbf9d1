import type { RtcProvider } from "../src/platform/platform.ts";
import type { Crossing, UdpRelay } from "./udp_relay.ts";

/**
 * A provider whose connections go through a relay, each with a crossing of its own: it changes the
 * candidates that they give away and those that they get, so that one side's provider is enough.
 */
export function throughRelay(rtc: RtcProvider, relay: UdpRelay): RtcProvider {
  class RelayedConnection {
    constructor(configuration?: RTCConfiguration) {
      return relayed(new rtc.wrtc.RTCPeerConnection(configuration), relay.cross());
    }
  }
  return {
    ...rtc,
    wrtc: {
      ...rtc.wrtc,
      RTCPeerConnection: RelayedConnection as unknown as typeof RTCPeerConnection,
    },
  };
}

type OnCandidate = (event: Pick<RTCPeerConnectionIceEvent, "candidate">) => void;

/** The connection as simple-peer uses it. Its own side of the crossing is "a". */
function relayed(
  connection: RTCPeerConnection,
  crossing: Promise<Crossing>,
): RTCPeerConnection {
  const changed = {
    get localDescription() {
      return withoutCandidates(connection.localDescription);
    },
    setRemoteDescription: (description: RTCSessionDescriptionInit) =>
      connection.setRemoteDescription(withoutCandidates(description)),
    addIceCandidate: async ({ candidate, sdpMid }: RTCIceCandidateInit) => {
      const signal = { type: "candidate", candidate: { candidate, sdpMid } };
      const rerouted = (await crossing).reroute("b", signal);
      if (rerouted?.type === "candidate") await connection.addIceCandidate(rerouted.candidate);
    },
    set onicecandidate(onCandidate: OnCandidate | null) {
      connection.onicecandidate = onCandidate &&
        (({ candidate }) => giveAway(candidate, onCandidate));
    },
  };
  return new Proxy(connection, {
    get(target, key) {
      if (key in changed && key !== "onicecandidate") return Reflect.get(changed, key);
      const value = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
    set: (target, key, value) =>
      Reflect.set(key === "onicecandidate" ? changed : target, key, value),
  });

  async function giveAway(own: RTCIceCandidate | null, onCandidate: OnCandidate): Promise<void> {
    if (!own) return onCandidate({ candidate: null });
    const { candidate, sdpMid } = own;
    const signal = { type: "candidate", candidate: { candidate, sdpMid } };
    const rerouted = (await crossing).reroute("a", signal);
    if (rerouted?.type !== "candidate") return;
    onCandidate({ candidate: rerouted.candidate as RTCIceCandidate });
  }
}

function withoutCandidates<T extends { readonly type: RTCSdpType; readonly sdp?: string } | null>(
  description: T,
) {
  if (!description) return description;
  const { type, sdp = "" } = description;
  return { type, sdp: sdp.replace(/^a=candidate:.*\r?\n/gm, "") };
}
