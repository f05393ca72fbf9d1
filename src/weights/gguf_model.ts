/**
 * A model that is one GGUF file: configuration, tokenizer and tensors.
 *
 * @module
 */
import type { HfConfig } from "../core.ts";
import type { ByteSource } from "../formats/byte_source.ts";
import { FormatError } from "../formats/format_error.ts";
import { type GgufHeader, readGgufHeader } from "../formats/gguf.ts";
import { configFromGguf, ROPE_FACTORS_TENSOR } from "../formats/gguf_config.ts";
import { hfTensors } from "../formats/gguf_tensor_names.ts";
import { dequantize } from "../formats/weight_format.ts";
import type { ModelSource } from "./model_source.ts";
import { TensorIndex } from "./tensor_index.ts";

/** Divisors of one head are few. */
const MAX_ROPE_FACTORS = 4096;

/** Opens the model, which then owns `source`. Throws a FormatError. */
export async function openGgufModel(
  source: ByteSource,
  { name }: { name: string },
): Promise<ModelSource> {
  try {
    const header = await readGgufHeader(source);
    checkIsWhole(header, source.name);
    const index = new TensorIndex();
    const config = configFromGguf(header, source.name);
    for (const stored of header.tensors.values()) {
      for (const tensor of hfTensors(stored, String(config["model_type"]))) {
        index.add(tensor.name, { tensor, source });
      }
    }
    const hfConfig = await withRopeFactors(config, index);
    return {
      name,
      hfConfig,
      gguf: header.metadata,
      tensors: index.tensors,
      unreadable: index.unreadable,
      readTensor: (tensorName, range) => index.read(tensorName, range),
      fileOf: (tensorName) => index.fileOf(tensorName),
      readText: () => Promise.resolve(null),
      close: () => source.close(),
    };
  } catch (error) {
    await source.close();
    throw error;
  }
}

function checkIsWhole({ metadata }: GgufHeader, fileName: string): void {
  const numParts = metadata.get("split.count");
  if (typeof numParts === "number" && numParts > 1) {
    throw new FormatError(
      fileName,
      `it is one of ${numParts} parts: join them with "llama-gguf-split --merge"`,
    );
  }
}

/** Puts the divisors of rope frequencies, which GGUF keeps in a tensor, into the configuration. */
async function withRopeFactors(config: HfConfig, index: TensorIndex): Promise<HfConfig> {
  const entry = index.tensors.get(ROPE_FACTORS_TENSOR);
  if (!entry) return config;
  const numFactors = entry.shape[0] ?? 0;
  if (entry.shape.length !== 1 || numFactors > MAX_ROPE_FACTORS) {
    throw new FormatError(
      ROPE_FACTORS_TENSOR,
      `its shape is [${entry.shape}], no list of divisors`,
    );
  }
  const factors = dequantize(entry.format, await index.read(entry.name), numFactors);
  return { ...config, rope_scaling: { rope_type: "factors", factors: [...factors] } };
}
