/**
 * What a runtime must offer. Implemented by browser.ts, deno.ts and node.ts, which are the only
 * files that name a runtime; everyone else gets these passed in.
 *
 * @module
 */

/** Where devices come from. */
export interface GpuProvider {
  /**
   * Adapters, best first; empty when there is none. Some runtimes show those beyond the first only
   * when asked for them by (part of) their name.
   */
  listAdapters(wanted?: string): Promise<readonly AdapterChoice[]>;
}

/** One adapter that can be opened. */
export interface AdapterChoice {
  readonly adapter: GPUAdapter;
  /** Which implementation of WebGPU it belongs to. */
  readonly backend: "dawn" | "wgpu" | "browser";
  /** Runs on the CPU. */
  readonly isSoftware: boolean;
  /** What the user should know before using it, in one line. */
  readonly warning?: string;
  /**
   * Waits for a promise of the device, in the way that suits the runtime. Waits of one `kind` are
   * expected to last alike.
   */
  wait<T>(promise: Promise<T>, kind?: string): Promise<T>;
}

/** Time in milliseconds from an arbitrary origin, and delays. */
export interface Clock {
  now(): number;
  /** Resolves after `delayMs`; rejects with the signal's reason when aborted. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

/** Random numbers for ids and seeds, never for sampling tokens. */
export interface Rng {
  /** Uniform over [0, 2^32). */
  uint32(): number;
}

/** A named place for downloaded bytes that survives a restart. Keys are relative paths with `/`. */
export interface Store {
  /** Size in bytes, or null when there is no such entry. */
  size(key: string): Promise<number | null>;
  /** Bytes [start, end); throws a RangeError when the entry is shorter. */
  read(key: string, range: { start: number; end: number }): Promise<Uint8Array>;
  /** Writes `bytes` at `offset`, growing the entry as needed. */
  write(key: string, bytes: Uint8Array, offset: number): Promise<void>;
  /** Atomically renames an entry, replacing the target. */
  rename(from: string, to: string): Promise<void>;
  remove(key: string): Promise<void>;
  list(prefix: string): Promise<readonly string[]>;
}

/** Makes WebRTC connections, in the shape of the browser's own API. */
export interface RtcProvider {
  /** What simple-peer takes as its `wrtc` option; each is the runtime's own or an add-on's. */
  readonly wrtc: {
    readonly RTCPeerConnection: typeof RTCPeerConnection;
    readonly RTCSessionDescription: typeof RTCSessionDescription;
    readonly RTCIceCandidate: typeof RTCIceCandidate;
  };
  /**
   * SHA-256 fingerprint of the certificate that the other side of an open connection really used,
   * as SDP writes it ("AB:CD:..."); null where the runtime does not tell.
   */
  remoteFingerprint(connection: RTCPeerConnection): Promise<string | null>;
  /** Frees what keeps the process alive, after all connections are closed. */
  close(): void;
}

/** A text WebSocket. Handlers are set before anything can arrive. */
export interface TextSocket {
  send(text: string): void;
  /** Starts the closing handshake; `onClose` follows. */
  close(): void;
}

/** What happens on a TextSocket. `onClose` is called once, last, also when it never opened. */
export interface TextSocketHandlers {
  onOpen(): void;
  onMessage(text: string): void;
  onClose(reason: string): void;
}

/** Opens a WebSocket to a `ws:` or `wss:` URL. */
export type OpenTextSocket = (url: string, handlers: TextSocketHandlers) => TextSocket;

/** Cryptography that the mesh uses: the runtime's WebCrypto, or the simulator's. */
export interface MeshCrypto {
  readonly subtle: SubtleCrypto;
  /** `length` random bytes of cryptographic quality. */
  randomBytes(length: number): Uint8Array<ArrayBuffer>;
}
