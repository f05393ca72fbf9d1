import type { ModelConfig, WeightFormat } from "../src/core.ts";
import type { BatchShape } from "../src/models/architecture.ts";
import {
  attentionCost,
  type Cost,
  embedCost,
  latentAttentionCost,
  normCost,
  projectionCost,
  weightBytes,
} from "./cost.ts";

/** The step that a program runs in. */
export interface StepSizes {
  readonly config: ModelConfig;
  readonly shape: BatchShape;
  readonly numSeen: number;
  readonly queriesPerRead: number;
}

/** The cost of one dispatch, from its program's constants and the step; null if they do not tell. */
export function programCost(
  kernel: string,
  constants: ReadonlyMap<string, string>,
  { config, shape, numSeen, queriesPerRead }: StepSizes,
): Cost | null {
  const { numHeads, numKvHeads, headDim } = config;
  const number = (name: string) => Number(constants.get(name));
  const format = constants.get("WEIGHT_FORMAT") as WeightFormat;
  const isF16 = constants.get("KV_F16") === "true";
  const isSampled = constants.get("FOR_SAMPLES") === "true" || constants.get("GATHER") === "true";
  const numTokens = isSampled ? shape.numSamples : shape.numTokens;
  const heads = { numSeen, numHeads, numKvHeads, headDim, isF16 };
  switch (kernel) {
    case "embed":
      return embedCost(format, number("COLS"), numTokens);
    case "matvec":
    case "matmul":
      return projectionCost({
        format,
        numRows: number("ROWS"),
        numCols: number("COLS"),
        numTokens,
        accumulate: constants.get("ACCUMULATE") === "true",
      });
    case "rms_norm":
      // Query and key norms differ in their number of heads, which is no constant.
      return constants.get("IN_PLACE") === "true" ? null : normCost(numTokens * number("COLS"));
    case "silu_mul":
      return { bytes: 12 * numTokens * number("COLS"), flops: 5 * numTokens * number("COLS") };
    case "kv_store":
      return { bytes: 2 * numTokens * numKvHeads * headDim * (isF16 ? 6 : 8), flops: 0 };
    case "rope": {
      const numElements = numTokens * number("NUM_ROTATED_HEADS") * number("ROTARY_DIM");
      return { bytes: 8 * numElements, flops: 3 * numElements };
    }
    case "latent_attention":
      return latentAttentionCost({
        ...{ numQueries: numTokens, numSeen, numHeads, isF16 },
        latentDim: number("LATENT_DIM"),
        ropeDim: number("ROPE_DIM"),
      });
    case "latent_query":
    case "latent_value": {
      const headDim = number(kernel === "latent_query" ? "NOPE_DIM" : "VALUE_DIM");
      const cols = number("COLS");
      return {
        bytes: weightBytes(format, numHeads * headDim, cols) +
          4 * numTokens * numHeads * (headDim + cols),
        flops: 2 * numTokens * numHeads * headDim * cols,
      };
    }
    case "attention_decode":
      return attentionCost({ ...heads, numQueries: shape.numDecodeRows, queriesPerRead: 1 });
    case "attention_prefill":
      return attentionCost({ ...heads, numQueries: numTokens, queriesPerRead });
    case "sample":
      return { bytes: 4 * shape.numSamples * number("VOCAB"), flops: 0 };
    default:
      return null;
  }
}
