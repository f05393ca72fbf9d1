/**
 * WebRTC for Deno and Node: node-datachannel (libdatachannel), in the shape that simple-peer wants.
 *
 * @module
 */
import nodeDatachannel from "node-datachannel";
import {
  RTCIceCandidate,
  RTCPeerConnection,
  RTCSessionDescription,
} from "node-datachannel/polyfill";
import type { RtcProvider } from "./platform.ts";

/** Loads libdatachannel. It keeps the process alive until `close()`. */
export function nodeDatachannelRtc(): RtcProvider {
  nodeDatachannel.setSctpSettings(SCTP_SETTINGS);
  nodeDatachannel.preload();
  const connections = new Set<DatachannelConnection>();
  class Connection extends DatachannelConnection {
    constructor(configuration?: RTCConfiguration) {
      super(configuration);
      connections.add(this);
    }

    override close(): void {
      connections.delete(this);
      super.close();
    }
  }
  return {
    wrtc: {
      RTCPeerConnection: Connection as unknown as typeof globalThis.RTCPeerConnection,
      RTCSessionDescription,
      RTCIceCandidate: RTCIceCandidate as unknown as typeof globalThis.RTCIceCandidate,
    },
    remoteFingerprint(connection) {
      const { native } = connection as unknown as DatachannelConnection;
      const { algorithm, value } = native.remoteFingerprint();
      return Promise.resolve(algorithm === "sha-256" ? value : null);
    },
    close() {
      for (const connection of connections) connection.close();
      nodeDatachannel.cleanup();
    },
  };
}

/**
 * Of every connection of the process. The defaults, 1 MiB and a window of 10 packets, carried
 * 4 MB/s at a round trip of 100 ms, and 0.3 MB/s for a long time after losses; these 6 to 11 MB/s.
 * Send buffers of 8 MiB overrun the kernel's receive buffers on fast networks. Whatever the window,
 * libdatachannel sends at most 10 packets (12 KB) into an idle connection before it hears back.
 */
const SCTP_SETTINGS = {
  recvBufferSize: 4 * 1024 * 1024,
  sendBufferSize: 2 * 1024 * 1024,
  initialCongestionWindow: 32,
};

const CANDIDATE_LINES = /^a=candidate:.*\r?\n/gm;

type ChannelArguments = Parameters<RTCPeerConnection["createDataChannel"]>;
type Channel = ReturnType<RTCPeerConnection["createDataChannel"]>;

/**
 * The polyfill negotiates on its own as soon as there is a channel, and hands out descriptions that
 * cannot be written to. This one negotiates when it is told to, and hands out plain ones.
 *
 * It also keeps two races of libdatachannel 0.24 from being lost on fast networks. ICE and DTLS go
 * on while an answer is still being set, and the certificate is then refused ("Got a remote
 * candidate without ICE transport"): so the offering side keeps its candidates to itself until it
 * has the answer, and nobody can check them earlier. And the first words of a DTLS client whose ICE
 * is ready before the other side's are lost, and repeated after 1 s: so the answering side, which is
 * ready first, is not the client.
 */
class DatachannelConnection extends RTCPeerConnection {
  readonly native: nodeDatachannel.PeerConnection;
  /** Null once there is a remote description. */
  #heldEvents: Event[] | null = [];

  constructor(configuration: RTCConfiguration = {}) {
    const { iceServers = [], iceTransportPolicy = "all" } = configuration;
    const native = new nodeDatachannel.PeerConnection("tessera", {
      iceServers: iceServers.flatMap(nativeIceServers),
      iceTransportPolicy,
      disableAutoNegotiation: true,
    });
    super({ iceServers: [], peerConnection: native });
    this.native = native;
  }

  /** simple-peer's answering side has no label for its channel. */
  override createDataChannel(...[label, init]: ChannelArguments): Channel {
    return super.createDataChannel(String(label), init);
  }

  override async createOffer(): Promise<globalThis.RTCSessionDescription> {
    this.native.setLocalDescription("offer");
    return plainDescription(await super.createOffer());
  }

  override async createAnswer(): Promise<globalThis.RTCSessionDescription> {
    return plainDescription(await super.createAnswer());
  }

  /** Without candidates: each has an event of its own. */
  override get localDescription(): globalThis.RTCSessionDescription {
    const { type = "offer", sdp = "" } = this.native.localDescription() ?? {};
    return plainDescription({ type: type as RTCSdpType, sdp: sdp.replace(CANDIDATE_LINES, "") });
  }

  /** Answers an offer as the DTLS server: whoever is the client must not speak first. */
  override async setRemoteDescription(description: RTCSessionDescriptionInit): Promise<void> {
    const { type, sdp = "" } = description;
    await super.setRemoteDescription({
      type,
      sdp: sdp.replace("a=setup:actpass", "a=setup:active"),
    });
    if (type === "offer") this.native.setLocalDescription("answer");
    const events = this.#heldEvents ?? [];
    this.#heldEvents = null;
    for (const event of events) this.dispatchEvent(event);
  }

  override dispatchEvent(event: Event): boolean {
    if (event.type !== "icecandidate" || !this.#heldEvents) return super.dispatchEvent(event);
    this.#heldEvents.push(event);
    return true;
  }

  /** Done by `createOffer()` and `setRemoteDescription()`. */
  override setLocalDescription(): Promise<void> {
    return Promise.resolve();
  }
}

function plainDescription(
  description: RTCSessionDescriptionInit,
): globalThis.RTCSessionDescription {
  const { type, sdp = "" } = description;
  return { type, sdp, toJSON: () => ({ type, sdp }) };
}

/** libdatachannel's notation: the credentials are part of the address. */
function nativeIceServers({ urls, username, credential }: RTCIceServer): string[] {
  const login = username !== undefined && credential !== undefined
    ? `${encodeURIComponent(username)}:${encodeURIComponent(credential)}@`
    : "";
  return [urls].flat().map((url) => url.replace(/^(stuns?|turns?):/, `$1:${login}`));
}
