import type { PeerView } from "../../src/peer/peer_view.ts";

/** The part of a model that a device holds or is about to hold. */
export interface HeldLayers {
  readonly startLayer: number;
  readonly endLayer: number;
  readonly hasEmbedding: boolean;
  readonly hasHead: boolean;
}

/** The peer's layers; null when it has none. */
export function heldLayers(peer: PeerView): HeldLayers | null {
  const { startLayer, endLayer, hasEmbedding, hasHead } = peer;
  if (startLayer === null || endLayer === null) return null;
  return { startLayer, endLayer, hasEmbedding, hasHead };
}

/** "layers 10 to 19", both ends included; "layers" when there are none. */
export function layersText(peer: PeerView): string {
  const layers = heldLayers(peer);
  if (layers === null) return "layers";
  const { startLayer, endLayer } = layers;
  return endLayer - startLayer === 1
    ? `layer ${startLayer}`
    : `layers ${startLayer} to ${endLayer - 1}`;
}
