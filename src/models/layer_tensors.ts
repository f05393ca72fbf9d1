/**
 * The operands of a layer, by the names of its modules.
 *
 * @module
 */
import type { LayerTensors } from "./architecture.ts";

/** The operands of two blocks of one layer. */
export function joinTensors(first: LayerTensors, second: LayerTensors): LayerTensors {
  return {
    matrices: { ...first.matrices, ...second.matrices },
    vectors: { ...first.vectors, ...second.vectors },
  };
}

/** Makes the operands of one layer from the names of its modules. */
export function tensorNames(layer: number) {
  const tensors = (kind: "weight" | "bias", names: readonly string[]) =>
    names.map((name) => `model.layers.${layer}.${name}.${kind}`);
  return {
    matrix: (numRows: number, numCols: number, ...names: string[]) => ({
      names: tensors("weight", names),
      numRows,
      numCols,
    }),
    vector: (kind: "weight" | "bias", length: number, ...names: string[]) => ({
      names: tensors(kind, names),
      length,
    }),
  };
}
