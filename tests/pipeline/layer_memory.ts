import type { ElementBytes, LayerMemoryCosts } from "../../src/stage/model_costs.ts";

/** Costs of layers that keep K and V: so many bytes a block in each. */
export function kvLayers(numLayers: number, blockBytes: ElementBytes): LayerMemoryCosts[] {
  const largestBlockBytes = { f32: blockBytes.f32 / 2, f16: blockBytes.f16 / 2 };
  return Array(numLayers).fill({ blockBytes, largestBlockBytes, stateBytes: 0 });
}
