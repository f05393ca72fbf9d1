import type { HeldLayers } from "./held_layers.ts";

/** Shares of the accent colour in neighbouring tiles, in turn: a mosaic, not a bar. */
const SHADES = [1, 0.5, 0.8, 0.15, 0.9, 0.35];

/** One tile for each layer that this device holds, and one for each end of the model. */
export function LayerTiles({ layers, share, tone }: {
  readonly layers: HeldLayers;
  /** How many of the tiles are laid, 0 to 1. */
  readonly share: number;
  readonly tone: "active" | "idle";
}) {
  const { startLayer, endLayer, hasEmbedding, hasHead } = layers;
  const labels = [
    ...(hasEmbedding ? ["in"] : []),
    ...Array.from({ length: endLayer - startLayer }, (_, index) => `${startLayer + index}`),
    ...(hasHead ? ["out"] : []),
  ];
  const numLaid = Math.floor(labels.length * share);
  const ends = [...(hasEmbedding ? ["the embedding"] : []), ...(hasHead ? ["the head"] : [])];
  const label = [`${endLayer - startLayer} layers from ${startLayer}`, ...ends].join(", ");
  return (
    <div class={`tiles ${tone}`} role="img" aria-label={label}>
      {labels.map((text, index) => (
        <span
          key={text}
          class={index < numLaid ? "tile laid" : "tile"}
          style={{ "--shade": SHADES[index % SHADES.length], "--turn": index % 7 }}
        >
          {text}
        </span>
      ))}
    </div>
  );
}
