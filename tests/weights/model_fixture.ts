/** Tiny models as files: enough for a source to open, not to run. */
import { asF32, asText, asU32, writeGguf } from "../formats/gguf_writer.ts";

export const CONFIG = { model_type: "llama", hidden_size: 4 };

export function asBytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A safetensors file of F32 tensors, 4 numbers each, that count up from `first`. */
export function safetensors(names: readonly string[], first = 0): Uint8Array {
  const header = Object.fromEntries(
    names.map((name, i) => [name, {
      dtype: "F32",
      shape: [2, 2],
      data_offsets: [16 * i, 16 * (i + 1)],
    }]),
  );
  const json = asBytes(JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + 16 * names.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  const values = Float32Array.from({ length: 4 * names.length }, (_, i) => first + i);
  bytes.set(new Uint8Array(values.buffer), 8 + json.length);
  return bytes;
}

/** A repository of two shards. */
export function shardedRepo(): Record<string, Uint8Array> {
  const index = {
    metadata: {},
    weight_map: {
      "model.embed_tokens.weight": "model-00001-of-00002.safetensors",
      "model.norm.weight": "model-00002-of-00002.safetensors",
    },
  };
  return {
    "config.json": asBytes(JSON.stringify(CONFIG)),
    "tokenizer.json": asBytes("{}"),
    "README.md": asBytes("# read me"),
    "model.safetensors.index.json": asBytes(JSON.stringify(index)),
    "model-00001-of-00002.safetensors": safetensors(["model.embed_tokens.weight"]),
    "model-00002-of-00002.safetensors": safetensors(["model.norm.weight"], 100),
  };
}

/** A llama GGUF with an embedding, rope divisors and a tensor of `embeddingType`. */
export function ggufModel({ embeddingType = 0 }: { embeddingType?: number } = {}): Uint8Array {
  return writeGguf({
    metadata: [
      ["general.architecture", asText("llama")],
      ["llama.embedding_length", asU32(256)],
      ["llama.feed_forward_length", asU32(512)],
      ["llama.block_count", asU32(1)],
      ["llama.context_length", asU32(64)],
      ["llama.attention.head_count", asU32(4)],
      ["llama.attention.layer_norm_rms_epsilon", asF32(2 ** -20)],
    ],
    tensors: [
      { name: "token_embd.weight", dims: [256n, 2n], type: embeddingType, offset: 0n },
      { name: "rope_freqs.weight", dims: [3n], offset: 2048n },
    ],
    dataBytes: 2048 + 12,
  });
}
