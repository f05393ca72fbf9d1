/**
 * Reads what config.json says about experts.
 *
 * @module
 */
import type { MoeConfig } from "../core.ts";
import type { ConfigReader } from "./config_reader.ts";

/** What one workgroup of the router can rank. */
const MAX_EXPERTS = 1024;
const MAX_EXPERTS_PER_TOKEN = 64;
const MAX_EXPERT_SIZE = 2 ** 16;
const MAX_SHARED_EXPERTS = 64;

/** Names and defaults of a model's class in Hugging Face's transformers. */
export interface ExpertDefaults {
  /** Spellings of the number of experts: the first that the file has counts. */
  readonly numExpertsFields: readonly string[];
  readonly numExperts: number;
  /** Null: the file has to say. */
  readonly numExpertsPerToken: number | null;
  readonly sizeField: string;
  readonly expertSize: number;
}

/** The numbers and sizes of experts, chosen by a softmax over all and not normalised. */
export function readExperts(
  config: ConfigReader,
  defaults: ExpertDefaults,
  isSparse: readonly boolean[],
): MoeConfig {
  const { numExpertsFields, sizeField } = defaults;
  const activation = config.text("hidden_act", "silu");
  if (activation !== "silu" && activation !== "swish") {
    throw config.fail("hidden_act", '"silu": experts have no other activation');
  }
  const numField = numExpertsFields.find((name) => config.has(name)) ?? numExpertsFields[0] ?? "";
  const numExperts = config.size(numField, {
    maximum: MAX_EXPERTS,
    fallback: defaults.numExperts,
  });
  return {
    numExperts,
    numExpertsPerToken: config.size("num_experts_per_tok", {
      maximum: Math.min(numExperts, MAX_EXPERTS_PER_TOKEN),
      ...(defaults.numExpertsPerToken !== null && { fallback: defaults.numExpertsPerToken }),
    }),
    expertSize: config.size(sizeField, {
      maximum: MAX_EXPERT_SIZE,
      fallback: defaults.expertSize,
    }),
    isSparse,
    scoring: "softmax",
    hasCorrectionBias: false,
    hasRouterBias: false,
    isNormalised: false,
    normEpsilon: 0,
    scale: 1,
    groups: null,
    shared: null,
    activation: { type: "silu" },
    hasExpertBias: false,
  };
}

/** `n_group` and `topk_group` as DeepSeek and GLM have them; null for one group. */
export function readGroups(
  config: ConfigReader,
  { numExperts, numExpertsPerToken }: MoeConfig,
  score: "max" | "top2-sum",
): MoeConfig["groups"] {
  const numGroups = config.size("n_group", { maximum: numExperts, fallback: 1 });
  if (numGroups === 1) return null;
  const groupSize = numExperts / numGroups;
  const least = score === "max" ? 1 : 2;
  if (!Number.isInteger(groupSize) || groupSize < least) {
    throw config.fail(
      "n_group",
      `a divisor of ${numExperts} experts that leaves at least ${least} in a group`,
    );
  }
  const numChosen = config.size("topk_group", { maximum: numGroups, fallback: 1 });
  if (numChosen * groupSize < numExpertsPerToken) {
    throw config.fail(
      "topk_group",
      `enough groups of ${groupSize} for ${numExpertsPerToken} experts`,
    );
  }
  return { numGroups, numChosen, score };
}

/** `first_k_dense_replace`: the layers before it have an MLP. */
export function readFirstSparse(config: ConfigReader, numLayers: number, fallback: number) {
  const first = config.size("first_k_dense_replace", { minimum: 0, maximum: 2 ** 31, fallback });
  return Array.from({ length: numLayers }, (_, layer) => layer >= first);
}

/** `n_shared_experts` experts that every token takes, as one MLP; null for none. */
export function readShared(
  config: ConfigReader,
  { expertSize }: MoeConfig,
  fallback: number,
): MoeConfig["shared"] {
  const numShared = config.size("n_shared_experts", {
    minimum: 0,
    maximum: MAX_SHARED_EXPERTS,
    fallback,
  });
  return numShared === 0 ? null : { size: numShared * expertSize, isGated: false };
}
