import SimplePeer from "simple-peer";
import type { RtcProvider } from "../platform/platform.ts";
import { readFingerprints } from "./fingerprint.ts";
import type { Lane } from "./peer_link.ts";
import { parseRtcSignal, type SignalExchange } from "./rtc_signal.ts";

/** Ids of the negotiated channels; the control channel is simple-peer's. */
const CONTROL_CHANNEL_ID = 0;
const LANE_IDS: Readonly<Record<Lane, number>> = { hot: 100, bulk: 101 };

/** What to connect with, and through whom. */
export interface RtcConnectionOptions {
  readonly rtc: RtcProvider;
  /** STUN and TURN servers. */
  readonly iceServers: readonly RTCIceServer[];
  readonly isInitiator: boolean;
  readonly exchange: SignalExchange;
}

/** What happens on a connection. `onClose` is called once, last. */
export interface RtcConnectionHandlers {
  onOpen(): void;
  onControl(text: unknown): void;
  onClose(reason: string): void;
}

/**
 * One connection as simple-peer dials it: its control channel, and beside it the lanes as raw
 * channels, which spares their messages simple-peer's stream.
 */
export class RtcConnection {
  readonly lanes: Readonly<Record<Lane, RTCDataChannel>>;
  /** Of the session descriptions; empty until there is one. */
  readonly fingerprints: { local: readonly string[]; remote: readonly string[] };
  readonly #peer: SimplePeer.Instance;
  readonly #connection: RTCPeerConnection;

  constructor(options: RtcConnectionOptions, handlers: RtcConnectionHandlers) {
    const { rtc, iceServers, isInitiator, exchange } = options;
    const fingerprints: RtcConnection["fingerprints"] = { local: [], remote: [] };
    this.fingerprints = fingerprints;
    const peer = new SimplePeer({
      initiator: isInitiator,
      wrtc: rtc.wrtc,
      config: { iceServers: iceServers.map((server) => ({ ...server })) },
      channelName: "control",
      channelConfig: { negotiated: true, id: CONTROL_CHANNEL_ID },
      // One message stays one message, and text stays text.
      objectMode: true,
    });
    this.#peer = peer;
    this.#connection = connectionOf(peer);
    this.lanes = {
      hot: openLane(this.#connection, "hot"),
      bulk: openLane(this.#connection, "bulk"),
    };
    peer.on("signal", (sent) => {
      const signal = parseRtcSignal(sent);
      if (!signal) return;
      if (signal.type !== "candidate") fingerprints.local = readFingerprints(signal.sdp);
      exchange.send(signal);
    });
    const expectedType = isInitiator ? "answer" : "offer";
    const stopListening = exchange.listen((received) => {
      const signal = parseRtcSignal(received);
      if (!signal || peer.destroyed) return;
      if (signal.type !== "candidate") {
        // One description a connection: what was bound stays bound.
        if (signal.type !== expectedType || fingerprints.remote.length > 0) return;
        fingerprints.remote = readFingerprints(signal.sdp);
      }
      peer.signal(signal as SimplePeer.SignalData);
    });
    let reason = "The other side closed the connection";
    peer.on("connect", () => handlers.onOpen());
    peer.on("data", (text: unknown) => handlers.onControl(text));
    peer.on("error", (error) => reason = `Connection lost: ${error.message}`);
    peer.on("close", () => {
      stopListening();
      handlers.onClose(reason);
    });
  }

  /** The connection itself, for its statistics and certificates. */
  get native(): RTCPeerConnection {
    return this.#connection;
  }

  get bufferedControlBytes(): number {
    return this.#peer.destroyed ? 0 : this.#peer.bufferSize;
  }

  /** False when the connection cannot send. */
  sendControl(text: string): boolean {
    if (!this.#peer.connected) return false;
    try {
      this.#peer.send(text);
      return true;
    } catch {
      return false;
    }
  }

  /** Ends the connection; `onClose` follows. */
  destroy(): void {
    this.#peer.destroy();
  }
}

/** simple-peer's own connection: a private field of a package that is not developed any more. */
function connectionOf(peer: SimplePeer.Instance): RTCPeerConnection {
  return (peer as unknown as { _pc: RTCPeerConnection })._pc;
}

function openLane(connection: RTCPeerConnection, lane: Lane): RTCDataChannel {
  return connection.createDataChannel(lane, { negotiated: true, id: LANE_IDS[lane] });
}
