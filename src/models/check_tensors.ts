/**
 * Whether a model's tensors are what its configuration says, before anything is allocated for
 * them.
 *
 * @module
 */
import type { ModelConfig, Shard } from "../core.ts";
import type { Architecture, MatrixTensors, VectorTensors } from "./architecture.ts";
import { ModelConfigError } from "./config_reader.ts";

export const EMBEDDING_TENSOR = "model.embed_tokens.weight";
export const FINAL_NORM_TENSOR = "model.norm.weight";
export const HEAD_TENSOR = "lm_head.weight";

/** Tensors by Hugging Face name; a shape has its outermost dimension first. */
export type TensorShapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

/** A part of a model. */
export interface ModelShard {
  readonly architecture: Pick<Architecture, "layerTensors">;
  readonly config: ModelConfig;
  readonly shard: Shard;
}

/**
 * Checks every tensor that the shard needs. Throws a ModelConfigError for a shape that does not fit
 * the configuration; returns the names that `tensors` lacks, for the caller to say why.
 */
export function checkTensors(tensors: TensorShapes, model: ModelShard): string[] {
  const missing: string[] = [];
  const { matrices, vectors } = shardTensors(model);
  for (const { names, numRows, numCols, partRows } of matrices) {
    checkOperand(tensors, { names, length: numRows, tail: [numCols], parts: partRows, missing });
  }
  for (const { names, length, partLengths } of vectors) {
    checkOperand(tensors, { names, length, tail: [], parts: partLengths, missing });
  }
  return missing;
}

/** The operands of a shard: embedding, layers, final norm and head. */
function shardTensors({ architecture, config, shard }: ModelShard): {
  readonly matrices: readonly MatrixTensors[];
  readonly vectors: readonly VectorTensors[];
} {
  const vocabulary = { numRows: config.vocabSize, numCols: config.hiddenSize };
  const matrices: MatrixTensors[] = [];
  const vectors: VectorTensors[] = [];
  if (shard.hasEmbedding) matrices.push({ names: [EMBEDDING_TENSOR], ...vocabulary });
  for (let layer = shard.startLayer; layer < shard.endLayer; layer++) {
    const tensors = architecture.layerTensors(config, layer);
    matrices.push(...Object.values(tensors.matrices));
    vectors.push(...Object.values(tensors.vectors));
  }
  if (shard.hasHead) {
    vectors.push({ names: [FINAL_NORM_TENSOR], length: config.hiddenSize });
    if (!config.isTied) matrices.push({ names: [HEAD_TENSOR], ...vocabulary });
    else if (!shard.hasEmbedding) matrices.push({ names: [EMBEDDING_TENSOR], ...vocabulary });
  }
  return { matrices, vectors };
}

/** Tensors [part, ...tail] whose parts make `length`. */
function checkOperand(tensors: TensorShapes, operand: {
  readonly names: readonly string[];
  readonly length: number;
  readonly tail: readonly number[];
  readonly parts: readonly number[] | undefined;
  /** Gets the names that are not there. */
  readonly missing: string[];
}): void {
  const { names, length, tail, missing } = operand;
  const parts = operand.parts ?? (names.length === 1 ? [length] : []);
  let total = 0;
  let numFound = 0;
  for (const [i, name] of names.entries()) {
    const shape = tensors.get(name)?.shape;
    if (!shape) {
      missing.push(name);
      continue;
    }
    const wanted = [parts[i] ?? shape[0] ?? 0, ...tail];
    if (shape.length !== wanted.length || shape.some((size, axis) => size !== wanted[axis])) {
      throw new ModelConfigError(
        `Tensor "${name}" has shape [${shape.join(", ")}], but config.json wants ` +
          `[${wanted.join(", ")}]`,
      );
    }
    numFound++;
    total += shape[0] ?? 0;
  }
  if (numFound === names.length && total !== length) {
    throw new ModelConfigError(
      `Tensors "${names.join('", "')}" make ${total} rows, but config.json wants ${length}`,
    );
  }
}
