import type { PeerStatus } from "../../src/cluster/status.ts";

/** Neighbouring layers of a model, and who holds them. */
export interface LayerSegment {
  readonly startLayer: number;
  readonly endLayer: number;
  /** Null for layers that nobody holds. */
  readonly peer: PeerStatus | null;
}

/** The layers [0, numLayers) in order, each once. */
export function layerSegments(
  peers: readonly PeerStatus[],
  numLayers: number,
): readonly LayerSegment[] {
  const segments: LayerSegment[] = [];
  let layer = 0;
  for (const peer of peers) {
    const { startLayer, endLayer } = peer;
    if (startLayer === null || endLayer === null || startLayer < layer) continue;
    if (startLayer > layer) segments.push({ startLayer: layer, endLayer: startLayer, peer: null });
    segments.push({ startLayer, endLayer, peer });
    layer = endLayer;
  }
  if (layer < numLayers) segments.push({ startLayer: layer, endLayer: numLayers, peer: null });
  return segments;
}

/** "0 to 13", both ends included, or "7". */
export function rangeText(startLayer: number, endLayer: number): string {
  return endLayer - startLayer === 1 ? `${startLayer}` : `${startLayer} to ${endLayer - 1}`;
}
