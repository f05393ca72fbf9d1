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
import { causalConvCost, deltaRuleCost, deltaSolveCost, expertCost } from "./family_cost.ts";

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
  const window = constants.get("WINDOWED") === "true" ? number("WINDOW") : Infinity;
  const heads = { numSeen: Math.min(numSeen, window), numHeads, numKvHeads, headDim, isF16 };
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
    case "gelu_mul":
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
        // Each sequence's rows once, whatever number of its tokens see them.
        numRows: shape.numSlices * (numSeen + (numTokens / shape.numSlices - 1) / 2),
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
      return expertProgramCost(kernel, constants, { config, shape }) ??
        linearProgramCost(kernel, constants, { config, shape });
  }
}

/** Of the experts of a layer, only those that the tokens chose are read. */
function expertProgramCost(
  kernel: string,
  constants: ReadonlyMap<string, string>,
  { config: { moe }, shape: { numTokens } }: Pick<StepSizes, "config" | "shape">,
): Cost | null {
  if (moe === null) return null;
  const number = (name: string) => Number(constants.get(name));
  const numCols = number("COLS");
  const numPairs = numTokens * moe.numExpertsPerToken;
  const matrix = (numRows: number, numInputs: number, numOutputs: number) =>
    expertCost({
      ...{ moe, numTokens, numRows, numCols, numInputs, numOutputs },
      format: constants.get("WEIGHT_FORMAT") as WeightFormat,
      share: number("ROWS") / (moe.numExperts * numRows),
    });
  switch (kernel) {
    case "expert_gate_up":
      return matrix(2 * moe.expertSize, numTokens, numPairs * moe.expertSize);
    case "expert_down":
      return matrix(number("OUT_ROWS"), numPairs, 2 * numTokens * number("OUT_ROWS"));
    case "expert_matmul":
      return constants.get("GATED") === "true"
        ? matrix(2 * moe.expertSize, numTokens, numPairs * moe.expertSize)
        : matrix(number("EXPERT_ROWS"), numPairs, numPairs * number("EXPERT_ROWS"));
    case "route":
      return { bytes: 4 * numTokens * moe.numExperts + 8 * numPairs, flops: 0 };
    case "combine_experts":
      return {
        bytes: 4 * (numPairs * (numCols + 1) + 2 * numTokens * numCols),
        flops: 2 * numPairs * numCols,
      };
    default:
      return null;
  }
}

function linearProgramCost(
  kernel: string,
  constants: ReadonlyMap<string, string>,
  { config: { linear }, shape }: Pick<StepSizes, "config" | "shape">,
): Cost | null {
  if (linear === null) return null;
  switch (kernel) {
    case "causal_conv":
      return causalConvCost(linear, shape);
    case "delta_solve":
      return deltaSolveCost(linear, shape.numTokens);
    case "delta_chunks":
      return deltaRuleCost(linear, shape);
    case "delta_rule":
      // Beside chunks it has only slices that are shorter, of which this step has none.
      return constants.get("ONLY_SHORT") === "true" ? null : deltaRuleCost(linear, shape);
    default:
      return null;
  }
}
