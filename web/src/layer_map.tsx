import { type LayerSegment, rangeText } from "./layer_segments.ts";

/** Shares of the accent colour of neighbouring peers, in turn. */
const SHADES = [1, 0.45, 0.75, 0.2];

/** The whole model as a row of layers, coloured by who holds them. */
export function LayerMap({ segments }: { readonly segments: readonly LayerSegment[] }) {
  return (
    <div class="map" role="img" aria-label={segments.map(segmentText).join("; ")}>
      {segments.map((segment, index) => {
        const { startLayer, endLayer, peer } = segment;
        const numLayers = endLayer - startLayer;
        return (
          <div
            key={startLayer}
            class={`segment ${peer?.state ?? "missing"}`}
            style={{ flexGrow: numLayers, "--shade": SHADES[index % SHADES.length] }}
          >
            <div class="cells">
              {Array.from({ length: numLayers }, (_, layer) => <i key={layer} />)}
            </div>
            <span class="segment-name">{peer?.name ?? "Nobody yet"}</span>
            <small>{rangeText(startLayer, endLayer)}</small>
          </div>
        );
      })}
    </div>
  );
}

function segmentText({ startLayer, endLayer, peer }: LayerSegment): string {
  return `Layers ${rangeText(startLayer, endLayer)}: ${peer?.name ?? "nobody yet"}`;
}
