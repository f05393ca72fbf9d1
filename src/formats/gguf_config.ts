/**
 * GGUF metadata as the Hugging Face config.json it was converted from, and GGUF tensor names as
 * Hugging Face names. An architecture is a row of a table.
 *
 * @module
 */
import type { HfConfig } from "../core.ts";
import { DAMAGED, FormatError } from "./format_error.ts";
import type { GgufHeader } from "./gguf.ts";
import type { GgufValue } from "./gguf_value.ts";

interface GgufArchitecture {
  /** Hugging Face `model_type`. */
  readonly modelType: string;
  /** Rows of q and k are permuted, so that rope pairs are neighbours. */
  readonly isRopeInterleaved: boolean;
}

/** By `general.architecture`. */
const ARCHITECTURES: Readonly<Record<string, GgufArchitecture>> = {
  llama: { modelType: "llama", isRopeInterleaved: true },
  qwen2: { modelType: "qwen2", isRopeInterleaved: false },
  qwen3: { modelType: "qwen3", isRopeInterleaved: false },
};

const MODEL_NAMES: Readonly<Record<string, string>> = {
  token_embd: "model.embed_tokens",
  output_norm: "model.norm",
  output: "lm_head",
};

const LAYER_NAMES: Readonly<Record<string, string>> = {
  attn_norm: "input_layernorm",
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_output: "self_attn.o_proj",
  attn_q_norm: "self_attn.q_norm",
  attn_k_norm: "self_attn.k_norm",
  ffn_norm: "post_attention_layernorm",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj",
};

/** More layers than any model has; models/dense_config.ts has the same bound. */
const MAX_BLOCKS = 1024;

/** The tensor of divisors that llama3 rope scaling became. */
export const ROPE_FACTORS_TENSOR = "rope_freqs.weight";

/** The Hugging Face name of a GGUF tensor, or null when it has none. */
export function hfTensorName(ggufName: string): string | null {
  const match = /^(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)$/.exec(ggufName);
  if (!match) return null;
  const [, layer, stem = "", kind] = match;
  const names = layer === undefined ? MODEL_NAMES : LAYER_NAMES;
  if (!Object.hasOwn(names, stem)) return null;
  const prefix = layer === undefined ? "" : `model.layers.${layer}.`;
  return `${prefix}${names[stem]}.${kind}`;
}

/**
 * The config.json that `header` amounts to. Beyond Hugging Face's fields:
 *
 * - `rope_interleaved`: rope pairs are (2i, 2i+1), because q and k rows are permuted.
 * - `qkv_bias`, `attention_output_bias`: what Hugging Face's `attention_bias` says of both.
 * - `rope_scaling` of type "factors" where the file has {@link ROPE_FACTORS_TENSOR}; its values are
 *   the caller's to read.
 *
 * Throws a FormatError for an architecture that is not in the table, a field that is missing
 * and numbers that contradict the tensors.
 */
export function configFromGguf(header: GgufHeader, fileName: string): HfConfig {
  const { metadata, tensors } = header;
  const name = metadata.get("general.architecture");
  if (typeof name !== "string" || !Object.hasOwn(ARCHITECTURES, name)) {
    throw new FormatError(
      fileName,
      `GGUF architecture "${String(name).slice(0, 40)}" is not supported: use one of ` +
        Object.keys(ARCHITECTURES).map((known) => `"${known}"`).join(", "),
    );
  }
  const architecture = ARCHITECTURES[name]!;
  const fields = new Fields(header, name, fileName);

  const hiddenSize = fields.count("embedding_length");
  const numHeads = fields.count("attention.head_count");
  const headDim = fields.size("attention.key_length", hiddenSize / numHeads);
  if (fields.size("attention.value_length", headDim) !== headDim) {
    throw new FormatError(fileName, "keys and values have different sizes: this is not supported");
  }
  const slidingWindow = fields.size("attention.sliding_window", 0);
  const hasAny = (...names: string[]) => names.some((bias) => tensors.has(`blk.0.${bias}.bias`));
  const config: Record<string, unknown> = {
    // GGUF calls Mistral "llama"; only the window tells them apart.
    model_type: name === "llama" && slidingWindow > 0 ? "mistral" : architecture.modelType,
    hidden_size: hiddenSize,
    intermediate_size: fields.size("feed_forward_length"),
    num_hidden_layers: numBlocks(fields),
    num_attention_heads: numHeads,
    num_key_value_heads: fields.size("attention.head_count_kv", numHeads),
    head_dim: headDim,
    rms_norm_eps: fields.number("attention.layer_norm_rms_epsilon"),
    max_position_embeddings: fields.size("context_length"),
    vocab_size: vocabSize(fields),
    rope_theta: fields.number("rope.freq_base", 10000),
    rope_scaling: ropeScaling(fields),
    rope_interleaved: architecture.isRopeInterleaved,
    tie_word_embeddings: !tensors.has("output.weight"),
    qkv_bias: hasAny("attn_q", "attn_k", "attn_v"),
    attention_output_bias: hasAny("attn_output"),
    mlp_bias: hasAny("ffn_gate", "ffn_up", "ffn_down"),
    hidden_act: "silu",
    bos_token_id: tokenId(metadata.get("tokenizer.ggml.bos_token_id")),
    eos_token_id: endTokenIds(fields),
  };
  const rotaryDim = rotaryDimOf(fields, headDim);
  if (rotaryDim !== headDim) config["partial_rotary_factor"] = rotaryDim / headDim;
  if (slidingWindow > 0) {
    config["sliding_window"] = slidingWindow;
    config["use_sliding_window"] = true;
  }
  return config;
}

/** `block_count`, which must be the number of blocks that have tensors. */
function numBlocks(fields: Fields): number {
  const numBlocks = fields.count("block_count");
  if (numBlocks > MAX_BLOCKS) {
    throw fields.fail("block_count", `is ${numBlocks}: at most ${MAX_BLOCKS} are supported`);
  }
  let numFound = 0;
  for (const name of fields.header.tensors.keys()) {
    const block = /^blk\.(\d+)\./.exec(name)?.[1];
    if (block !== undefined) numFound = Math.max(numFound, Number(block) + 1);
  }
  // No block at all is a model without its layers: whoever loads one says which tensor it lacks.
  if (numFound === 0 || numFound === numBlocks) return numBlocks;
  throw fields.fail(
    "block_count",
    `is ${numBlocks}, but the last block with tensors is "blk.${numFound - 1}": ${DAMAGED}`,
  );
}

function rotaryDimOf(fields: Fields, headDim: number): number {
  const rotaryDim = fields.count("rope.dimension_count", headDim);
  if (rotaryDim <= headDim && rotaryDim % 2 === 0) return rotaryDim;
  throw fields.fail(
    "rope.dimension_count",
    `is ${rotaryDim}: it must be even and at most ${headDim}, the size of a head`,
  );
}

function vocabSize(fields: Fields): number {
  // The matrix decides: metadata leaves out padding, or itself.
  const rows = fields.header.tensors.get("token_embd.weight")?.shape[0];
  return rows ?? fields.size("vocab_size");
}

function ropeScaling(fields: Fields): unknown {
  if (fields.header.tensors.has(ROPE_FACTORS_TENSOR)) return { rope_type: "factors" };
  const type = fields.get("rope.scaling.type");
  if (type === undefined || type === "none") return null;
  if (type === "linear") return { rope_type: type, factor: fields.number("rope.scaling.factor") };
  return {
    rope_type: type,
    factor: fields.number("rope.scaling.factor", 1),
    original_max_position_embeddings: fields.size("rope.scaling.original_context_length", 0),
  };
}

/** Ends of a text, a turn and a message. */
function endTokenIds(fields: Fields): number[] {
  const ids = ["eos", "eot", "eom"].map((end) =>
    tokenId(fields.header.metadata.get(`tokenizer.ggml.${end}_token_id`))
  );
  return [...new Set(ids.filter((id) => id !== null))];
}

function tokenId(value: GgufValue | undefined): number | null {
  // Writers store "none" as -1 or its unsigned twin.
  return typeof value === "number" && value >= 0 && value < 0xffffffff ? value : null;
}

/** Metadata below the architecture's prefix, checked as it is read. */
class Fields {
  constructor(
    readonly header: GgufHeader,
    readonly architecture: string,
    readonly fileName: string,
  ) {}

  get(key: string): GgufValue | undefined {
    return this.header.metadata.get(`${this.architecture}.${key}`);
  }

  number(key: string, fallback?: number): number {
    const value = this.get(key) ?? fallback;
    if (typeof value === "number" && Number.isFinite(value)) return value;
    throw this.fail(key, value === undefined ? "is missing" : "is no number");
  }

  /** A size of at least 1. */
  count(key: string, fallback?: number): number {
    const size = this.size(key, fallback);
    if (size > 0) return size;
    throw this.fail(key, "is 0");
  }

  /** A size, which may be 0. A list with one entry a layer must repeat one value. */
  size(key: string, fallback?: number): number {
    const value = this.get(key);
    if (typeof value === "object" && value.length > 0) {
      const [first] = value;
      for (const entry of value) {
        if (entry !== first) {
          throw this.fail(key, "differs between layers, which is not supported");
        }
      }
      if (typeof first === "number" && Number.isSafeInteger(first) && first >= 0) return first;
    }
    const size = this.number(key, fallback);
    if (Number.isSafeInteger(size) && size >= 0) return size;
    throw this.fail(key, `is ${size}, no size`);
  }

  fail(key: string, problem: string): FormatError {
    return new FormatError(this.fileName, `metadata "${this.architecture}.${key}" ${problem}`);
  }
}
