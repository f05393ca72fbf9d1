import type { ElementBytes, ModelCosts } from "../stage/model_costs.ts";

/** What a peer lends, as it measured itself. */
export interface PlacedPeer {
  readonly id: string;
  readonly memoryBytes: number;
  /** Memory bandwidth: what a decode step is bound by. */
  readonly readGBps: number;
  /** Keeps K and V as f16, else as f32. */
  readonly usesF16Kv: boolean;
}

/** A run of layers on one peer. */
export interface Span {
  /** Index of the peer. */
  readonly peer: number;
  readonly startLayer: number;
  readonly endLayer: number;
}

/** Layers [startLayer, endLayer). */
export type Layers = Pick<Span, "startLayer" | "endLayer">;

/**
 * Memory and time of any run of layers on any peer, with a KV pool of `numBlocks`. A stage that
 * starts at layer 0 holds the embedding, one that ends at the last layer the head.
 */
export class StageCosts {
  readonly numLayers: number;
  readonly numPeers: number;
  readonly #model: ModelCosts;
  readonly #peers: readonly PlacedPeer[];
  readonly #numBlocks: number;
  /** Bytes of the layers before each one, [numLayers + 1]: weights, those read, states, blocks. */
  readonly #bytesBefore: readonly number[];
  readonly #readBytesBefore: readonly number[];
  readonly #stateBytesBefore: readonly number[];
  readonly #blockBytesBefore: { readonly [type in keyof ElementBytes]: readonly number[] };

  constructor(
    model: ModelCosts,
    { peers, numBlocks }: { readonly peers: readonly PlacedPeer[]; readonly numBlocks: number },
  ) {
    this.numLayers = model.numLayers;
    this.numPeers = peers.length;
    this.#model = model;
    this.#peers = peers;
    this.#numBlocks = numBlocks;
    this.#bytesBefore = sumsBefore(model.layerBytes);
    this.#readBytesBefore = sumsBefore(model.layerReadBytes);
    this.#stateBytesBefore = sumsBefore(model.layerMemory.map(({ stateBytes }) => stateBytes));
    this.#blockBytesBefore = {
      f32: sumsBefore(model.layerMemory.map(({ blockBytes }) => blockBytes.f32)),
      f16: sumsBefore(model.layerMemory.map(({ blockBytes }) => blockBytes.f16)),
    };
  }

  /** Memory that a stage needs. */
  memoryBytes(layers: Layers & Pick<PlacedPeer, "usesF16Kv">): number {
    return this.fixedBytes(layers) + this.#numBlocks * this.blockBytes(layers);
  }

  /** One block of the KV pool over all layers of a stage; 0 where none keeps any. */
  blockBytes({ startLayer, endLayer, usesF16Kv }: Layers & Pick<PlacedPeer, "usesF16Kv">): number {
    const { f16, f32 } = this.#blockBytesBefore;
    return sumOf(usesF16Kv ? f16 : f32, startLayer, endLayer);
  }

  /** Memory that a stage needs beside its KV pool: weights, states and buffers. */
  fixedBytes(layers: Layers): number {
    const stateBytes = sumOf(this.#stateBytesBefore, layers.startLayer, layers.endLayer);
    const { scratchBytes, lastScratchBytes } = this.#model;
    const isLast = layers.endLayer === this.numLayers;
    return this.weightBytes(layers) + stateBytes + (isLast ? lastScratchBytes : scratchBytes);
  }

  /** Of it, the weights. */
  weightBytes({ startLayer, endLayer }: Layers): number {
    const { embeddingBytes, headBytes, isTied } = this.#model;
    const embedding = startLayer === 0 ? embeddingBytes : 0;
    const head = endLayer === this.numLayers ? headBytes : 0;
    return sumOf(this.#bytesBefore, startLayer, endLayer) +
      (isTied ? Math.max(embedding, head) : embedding + head);
  }

  /** Time to read the weights of a stage for one token: what a decode step takes, in ms. */
  timeMs({ peer, startLayer, endLayer }: Span): number {
    const head = endLayer === this.numLayers ? this.#model.headBytes : 0;
    const bytesPerMs = (this.#peers[peer]?.readGBps ?? 0) * 1e6;
    return (sumOf(this.#readBytesBefore, startLayer, endLayer) + head) / bytesPerMs;
  }

  /** The stage fits in the peer's memory and takes at most `limitMs`. */
  fits(span: Span, limitMs: number): boolean {
    const { memoryBytes, usesF16Kv } = this.#peers[span.peer] ??
      { memoryBytes: 0, usesF16Kv: false };
    return this.memoryBytes({ ...span, usesF16Kv }) <= memoryBytes && this.timeMs(span) <= limitMs;
  }

  /**
   * End of the longest stage that starts at `startLayer` and leaves the last layer to others;
   * `startLayer` when the peer can hold none.
   */
  reach(peer: number, { startLayer, limitMs }: { startLayer: number; limitMs: number }): number {
    let reached = startLayer;
    let beyond = this.numLayers;
    while (beyond - reached > 1) {
      const endLayer = (reached + beyond) >> 1;
      if (this.fits({ peer, startLayer, endLayer }, limitMs)) reached = endLayer;
      else beyond = endLayer;
    }
    return reached;
  }

  /** Time that no placement can beat: what one token reads over the bandwidth of all peers, in ms. */
  leastMs(): number {
    const gbps = this.#peers.reduce((sum, peer) => sum + peer.readGBps, 0);
    const readBytes = sumOf(this.#readBytesBefore, 0, this.numLayers) + this.#model.headBytes;
    return readBytes / (gbps * 1e6);
  }
}

/** Sums of the values before each one and before the end. */
function sumsBefore(values: readonly number[]): readonly number[] {
  const before = [0];
  for (const value of values) before.push((before.at(-1) ?? 0) + value);
  return before;
}

/** The sum of the values [start, end). */
function sumOf(before: readonly number[], start: number, end: number): number {
  return (before[end] ?? 0) - (before[start] ?? 0);
}
