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
  for (const operand of shardOperands(model)) checkOperand(tensors, operand, missing);
  return missing;
}

/** Names of the tensors that the shard needs, each once, in the order in which a stage loads them. */
export function shardTensorNames(model: ModelShard): string[] {
  return [...new Set(shardOperands(model).flatMap(({ names }) => names))];
}

/** Tensors [part, ...tail] whose parts make `length` along the first dimension. */
interface ShardOperand {
  readonly names: readonly string[];
  readonly length: number;
  readonly tail: readonly number[];
  readonly parts?: readonly number[] | undefined;
}

/** The operands of a shard: embedding, layers, final norm and head. */
function shardOperands({ architecture, config, shard }: ModelShard): ShardOperand[] {
  const vocabulary = { numRows: config.vocabSize, numCols: config.hiddenSize };
  const embedding = matrixOperand({ names: [EMBEDDING_TENSOR], ...vocabulary });
  const operands: ShardOperand[] = [];
  if (shard.hasEmbedding) operands.push(embedding);
  for (let layer = shard.startLayer; layer < shard.endLayer; layer++) {
    const { matrices, vectors } = architecture.layerTensors(config, layer);
    operands.push(...Object.values(matrices).map(matrixOperand));
    operands.push(...Object.values(vectors).map(vectorOperand));
  }
  if (shard.hasHead) {
    operands.push(vectorOperand({ names: [FINAL_NORM_TENSOR], length: config.hiddenSize }));
    if (!config.isTied) operands.push(matrixOperand({ names: [HEAD_TENSOR], ...vocabulary }));
    else if (!shard.hasEmbedding) operands.push(embedding);
  }
  return operands;
}

function matrixOperand(
  { names, numRows, numCols, partRows, numTransposed }: MatrixTensors,
): ShardOperand {
  if (numTransposed !== undefined) {
    return { names, length: numTransposed, tail: [numCols, numRows / numTransposed] };
  }
  return { names, length: numRows, tail: [numCols], parts: partRows };
}

function vectorOperand({ names, length, partLengths, shape }: VectorTensors): ShardOperand {
  if (shape !== undefined) return { names, length: shape[0] ?? 1, tail: shape.slice(1) };
  return { names, length, tail: [], parts: partLengths };
}

/** Checks the tensors that are there; `missing` gets the names that are not. */
function checkOperand(tensors: TensorShapes, operand: ShardOperand, missing: string[]): void {
  const { names, length, tail } = operand;
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
