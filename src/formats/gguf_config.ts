/**
 * GGUF metadata as the Hugging Face config.json it was converted from. An architecture is a row of a
 * table.
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
  /** Fields of this architecture alone. */
  readonly ownFields?: (fields: Fields) => Record<string, unknown>;
}

/** By `general.architecture`. */
const ARCHITECTURES: Readonly<Record<string, GgufArchitecture>> = {
  llama: { modelType: "llama", isRopeInterleaved: true },
  qwen2: { modelType: "qwen2", isRopeInterleaved: false },
  qwen3: { modelType: "qwen3", isRopeInterleaved: false },
  qwen3moe: { modelType: "qwen3_moe", isRopeInterleaved: false, ownFields: qwen3MoeFields },
  gemma3: { modelType: "gemma3_text", isRopeInterleaved: false, ownFields: gemma3Fields },
};

/** More layers than any model has; models/dense_config.ts has the same bound. */
const MAX_BLOCKS = 1024;

/** The tensor of divisors that llama3 rope scaling became. */
export const ROPE_FACTORS_TENSOR = "rope_freqs.weight";

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
  const numExperts = fields.size("expert_count", 0);
  const modelType = name === "llama"
    ? relativeOfLlama({ slidingWindow, numExperts })
    : architecture.modelType;
  const hasAny = (...names: string[]) => names.some((bias) => tensors.has(`blk.0.${bias}.bias`));
  const config: Record<string, unknown> = {
    model_type: modelType,
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
  if (numExperts > 0) {
    config["num_local_experts"] = numExperts;
    config["num_experts_per_tok"] = fields.count("expert_used_count");
  }
  return { ...config, ...architecture.ownFields?.(fields) };
}

/** GGUF calls Mistral and Mixtral "llama"; only the experts and the window tell them apart. */
function relativeOfLlama(
  { slidingWindow, numExperts }: { readonly slidingWindow: number; readonly numExperts: number },
): string {
  if (numExperts > 0) return "mixtral";
  return slidingWindow > 0 ? "mistral" : "llama";
}

function qwen3MoeFields(fields: Fields): Record<string, unknown> {
  return {
    moe_intermediate_size: fields.count("expert_feed_forward_length"),
    norm_topk_prob: fields.get("expert_weights_norm") ?? true,
  };
}

/** Layers of the one Gemma 3 whose scores are scaled by the hidden size for each head. */
const GEMMA3_27B_BLOCKS = 62;

/** What converters leave out are constants of the family; norms got their 1 added. */
function gemma3Fields(fields: Fields): Record<string, unknown> {
  const isLargest = fields.count("block_count") === GEMMA3_27B_BLOCKS;
  return {
    unit_offset_norms: false,
    query_pre_attn_scalar: isLargest
      ? fields.count("embedding_length") / fields.count("attention.head_count")
      : fields.count("attention.key_length", 256),
    rope_theta: fields.number("rope.freq_base", 1e6),
    rope_local_base_freq: fields.number("rope.freq_base_swa", 10_000),
    final_logit_softcapping: fields.get("final_logit_softcapping") ?? null,
  };
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
