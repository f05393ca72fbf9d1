/**
 * Reads what the config.json of llama, mistral, qwen2 and qwen3 have in common.
 *
 * @module
 */
import type { ModelConfig } from "../core.ts";
import type { ConfigReader } from "./config_reader.ts";
import { readRope, type RopeDefaults } from "./rope_config.ts";

/** What a field means that a file leaves out, by its class in Hugging Face's transformers. */
export interface DenseDefaults {
  readonly modelType: string;
  /** Null: as many as heads. So is an explicit null in the file. */
  readonly numKvHeads: number | null;
  /** Null: the hidden size shared among the heads. So is an explicit null in the file. */
  readonly headDim: number | null;
  readonly maxPositions: number;
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
  /** 1e-6 where left out. */
  readonly rmsNormEps?: number;
  readonly rope?: RopeDefaults;
  /** The MLP's activation where the file has none, and its field; silu in `hidden_act` where left out. */
  readonly activation?: { readonly field: string; readonly value: ModelConfig["activation"] };
}

const SILU = { field: "hidden_act", value: "silu" } as const;

/** Spellings of what the MLP does with its gate, by transformers' names. */
const ACTIVATIONS: Readonly<Record<string, ModelConfig["activation"]>> = {
  silu: "silu",
  swish: "silu",
  gelu_pytorch_tanh: "gelu_pytorch_tanh",
  gelu_new: "gelu_pytorch_tanh",
  gelu_fast: "gelu_pytorch_tanh",
};

/** Far above any model, far below what a hostile file could make this program allocate. */
const MAX_LAYERS = 1024;
const MAX_HEADS = 4096;
const MAX_HEAD_DIM = 1024;
export const MAX_COLUMNS = 2 ** 20;
const MAX_VOCAB = 2 ** 24;
const MAX_POSITIONS = 2 ** 31;

/** The fields that dense models share; the rest are the caller's to override. */
export function readDenseConfig(config: ConfigReader, defaults: DenseDefaults): ModelConfig {
  const activation = readActivation(config, defaults.activation ?? SILU);
  const hiddenSize = config.size("hidden_size", { maximum: MAX_COLUMNS });
  const numLayers = config.size("num_hidden_layers", { maximum: MAX_LAYERS });
  const heads = readHeads(config, { hiddenSize, defaults });
  return {
    modelType: defaults.modelType,
    vocabSize: config.size("vocab_size", { maximum: MAX_VOCAB }),
    hiddenSize,
    intermediateSize: config.size("intermediate_size", { maximum: MAX_COLUMNS }),
    numLayers,
    ...heads,
    rmsNormEps: config.positive("rms_norm_eps", defaults.rmsNormEps ?? 1e-6),
    rope: readRope(config, heads.headDim, {
      ...defaults.rope,
      maxPositions: defaults.maxPositions,
    }),
    slidingRope: null,
    hasUnitOffsetNorms: false,
    embeddingScale: 1,
    attentionScale: 1 / Math.sqrt(heads.headDim),
    logitCap: null,
    activation,
    maxPositions: config.size("max_position_embeddings", {
      maximum: MAX_POSITIONS,
      fallback: defaults.maxPositions,
    }),
    isTied: config.flag("tie_word_embeddings", false),
    hasQkvBias: false,
    hasOutputBias: false,
    hasMlpBias: false,
    hasQkNorm: false,
    hasWholeQkNorm: false,
    hasOutputGate: false,
    slidingWindows: new Array<number | null>(numLayers).fill(null),
    latentAttention: null,
    moe: null,
    linear: null,
    bosTokenId: config.isAbsent("bos_token_id")
      ? defaults.bosTokenId
      : config.sizes("bos_token_id")[0] ?? null,
    eosTokenIds: config.isAbsent("eos_token_id")
      ? defaults.eosTokenIds
      : config.sizes("eos_token_id"),
  };
}

function readActivation(
  config: ConfigReader,
  { field, value }: NonNullable<DenseDefaults["activation"]>,
): ModelConfig["activation"] {
  const name = config.text(field, value);
  if (Object.hasOwn(ACTIVATIONS, name)) return ACTIVATIONS[name]!;
  throw config.fail(field, Object.keys(ACTIVATIONS).map((known) => `"${known}"`).join(" or "));
}

/** `attention_bias` speaks of all four projections; what GGUF amounts to tells them apart. */
export function readAttentionBiases(
  config: ConfigReader,
): Pick<ModelConfig, "hasQkvBias" | "hasOutputBias"> {
  const hasBias = config.flag("attention_bias", false);
  return {
    hasQkvBias: config.flag("qkv_bias", hasBias),
    hasOutputBias: config.flag("attention_output_bias", hasBias),
  };
}

function readHeads(
  config: ConfigReader,
  { hiddenSize, defaults }: { readonly hiddenSize: number; readonly defaults: DenseDefaults },
): Pick<ModelConfig, "numHeads" | "numKvHeads" | "headDim"> {
  const numHeads = config.size("num_attention_heads", { maximum: MAX_HEADS });
  const defaultKvHeads = config.isAbsent("num_key_value_heads") ? defaults.numKvHeads : null;
  const numKvHeads = config.size("num_key_value_heads", {
    maximum: MAX_HEADS,
    fallback: defaultKvHeads ?? numHeads,
  });
  if (numHeads % numKvHeads !== 0) {
    throw config.fail(
      "num_key_value_heads",
      `a divisor of ${numHeads} heads (${numKvHeads} is none)`,
    );
  }
  const defaultDim = config.isAbsent("head_dim") ? defaults.headDim : null;
  const headDim = config.size("head_dim", {
    maximum: MAX_HEAD_DIM,
    fallback: defaultDim ?? Math.floor(hiddenSize / numHeads),
  });
  if (numHeads * headDim > MAX_COLUMNS) {
    throw config.fail("num_attention_heads", `at most ${MAX_COLUMNS} / ${headDim}, the head size`);
  }
  return { numHeads, numKvHeads, headDim };
}
