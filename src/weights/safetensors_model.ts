/**
 * A model as a Hugging Face repository lays it out: config.json beside one model.safetensors, or
 * beside an index and its shards.
 *
 * @module
 */
import type { ByteSource } from "../formats/byte_source.ts";
import { FormatError } from "../formats/format_error.ts";
import { readSafetensorsHeader } from "../formats/safetensors.ts";
import { type ModelFiles, parseJsonObject, readJsonFile, readTextFile } from "./model_files.ts";
import type { ModelSource } from "./model_source.ts";
import { TensorIndex } from "./tensor_index.ts";
import { textTensorName } from "./text_tensor_name.ts";

/** The file of a model that is not sharded. */
export const SINGLE_FILE = "model.safetensors";
/** Says which shard has which tensor. */
export const INDEX_FILE = "model.safetensors.index.json";

/** Opens the model and checks the header of every shard. Throws a FormatError. */
export async function openSafetensorsModel(
  files: ModelFiles,
  { name }: { name: string },
): Promise<ModelSource> {
  const hfConfig = await readJsonFile(files, "config.json");
  if (!hfConfig) throw new FormatError(files.name, 'there is no "config.json" in it');
  const index = new TensorIndex();
  const sources: ByteSource[] = [];
  const close = async () => {
    for (const source of sources) await source.close();
  };
  const openShard = async (fileName: string, missing: string) => {
    const source = await files.open(fileName);
    if (!source) throw new FormatError(files.name, missing);
    sources.push(source);
    const { tensors } = await readSafetensorsHeader(source);
    return { source, tensors };
  };
  try {
    const indexText = await readTextFile(files, INDEX_FILE);
    if (indexText === null) {
      const { source, tensors } = await openShard(
        SINGLE_FILE,
        `there is neither "${SINGLE_FILE}" nor "${INDEX_FILE}" in it`,
      );
      for (const tensor of tensors.values()) {
        index.add(textTensorName(tensor.name), { tensor, source });
      }
    } else {
      const indexName = `${files.name}/${INDEX_FILE}`;
      for (const [fileName, names] of parseShardIndex(indexText, indexName)) {
        const { source, tensors } = await openShard(
          fileName,
          `shard "${fileName}" is missing: download it too, beside the others`,
        );
        for (const tensorName of names) {
          const tensor = tensors.get(tensorName);
          if (!tensor) {
            throw new FormatError(
              source.name,
              `tensor "${tensorName}" is missing, which the index places here: download both again`,
            );
          }
          index.add(textTensorName(tensorName), { tensor, source });
        }
      }
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    name,
    hfConfig,
    gguf: null,
    tensors: index.tensors,
    unreadable: index.unreadable,
    readTensor: (tensorName, range) => index.read(tensorName, range),
    fileOf: (tensorName) => index.fileOf(tensorName),
    readText: (fileName) => readTextFile(files, fileName),
    close,
  };
}

/** Tensor names by shard. Throws a FormatError for a shard outside the index's own folder. */
export function parseShardIndex(
  text: string,
  fileName: string,
): ReadonlyMap<string, readonly string[]> {
  const { weight_map: weightMap } = parseJsonObject(text, fileName);
  if (typeof weightMap !== "object" || weightMap === null || Array.isArray(weightMap)) {
    throw new FormatError(fileName, 'it has no "weight_map"');
  }
  const shards = new Map<string, string[]>();
  for (const [tensorName, shard] of Object.entries(weightMap)) {
    if (typeof shard !== "string" || !/^(?!\.)[\w.-]{1,250}\.safetensors$/.test(shard)) {
      throw new FormatError(
        fileName,
        `it places tensor "${tensorName.slice(0, 200)}" in "${String(shard).slice(0, 200)}", ` +
          "which is no .safetensors file beside it",
      );
    }
    const names = shards.get(shard);
    if (names) names.push(tensorName);
    else shards.set(shard, [tensorName]);
  }
  return shards;
}
