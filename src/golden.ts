/**
 * A checkpoint with what another implementation computed from it, in one folder.
 *
 * @module
 */
import { FormatError } from "./formats/format_error.ts";
import { readSafetensorsHeader } from "./formats/safetensors.ts";
import type { Store } from "./platform/platform.ts";
import { openGgufModel } from "./weights/gguf_model.ts";
import { storeFiles } from "./weights/model_files.ts";
import type { ModelSource } from "./weights/model_source.ts";
import { openSafetensorsModel } from "./weights/safetensors_model.ts";
import { openStoreSource } from "./weights/store_source.ts";

/** A checkpoint and its stored inputs. */
export interface GoldenCase {
  readonly source: ModelSource;
  readonly inputs: readonly GoldenInput[];
}

/** Tokens, their logits, and the greedy continuation. */
export interface GoldenInput {
  readonly inputIds: readonly number[];
  /** f32 [inputIds.length, vocabSize]. */
  readonly logits: Float32Array;
  readonly greedy: readonly number[];
  /** f32 [inputIds.length, hiddenSize] by the layer whose input they are; files may have none. */
  readonly hidden: ReadonlyMap<number, Float32Array>;
}

/** The file beside config.json and model.safetensors, or beside {@link GGUF_FILE}. */
export const GOLDEN_FILE = "golden.safetensors";
const GGUF_FILE = "model.gguf";

/**
 * Opens the folder that `store` is. Throws a FormatError for a damaged file and an Error when one
 * is missing.
 */
export async function openGoldenCase(store: Store, name: string): Promise<GoldenCase> {
  const inputs = await readInputs(store);
  const gguf = await openStoreSource(store, GGUF_FILE);
  if (gguf !== null) return { source: await openGgufModel(gguf, { name }), inputs };
  const files = storeFiles(store, { prefix: "", name });
  return { source: await openSafetensorsModel(files, { name }), inputs };
}

/** `input_ids.N` i32, `logits.N` f32, `greedy.N` i32 and, if any, `hidden.N.L` f32; N = 0, 1... */
async function readInputs(store: Store): Promise<GoldenInput[]> {
  const file = await openStoreSource(store, GOLDEN_FILE);
  if (file === null) throw new Error(`There is no "${GOLDEN_FILE}" in the case's folder`);
  const { tensors } = await readSafetensorsHeader(file);
  const read = async (name: string, typeName: string): Promise<ArrayBuffer> => {
    const tensor = tensors.get(name);
    if (tensor?.typeName !== typeName) {
      throw new FormatError(GOLDEN_FILE, `tensor "${name}" of type ${typeName} is missing`);
    }
    const bytes = await file.read(tensor.offset, tensor.offset + tensor.byteLength);
    return bytes.slice().buffer;
  };
  const inputs: GoldenInput[] = [];
  for (let n = 0; tensors.has(`logits.${n}`); n++) {
    const hidden = new Map<number, Float32Array>();
    for (const name of tensors.keys()) {
      const [, input, layer] = /^hidden\.(\d+)\.(\d+)$/.exec(name) ?? [];
      if (Number(input) !== n) continue;
      hidden.set(Number(layer), new Float32Array(await read(name, "F32")));
    }
    inputs.push({
      inputIds: [...new Int32Array(await read(`input_ids.${n}`, "I32"))],
      logits: new Float32Array(await read(`logits.${n}`, "F32")),
      greedy: [...new Int32Array(await read(`greedy.${n}`, "I32"))],
      hidden,
    });
  }
  if (inputs.length === 0) throw new FormatError(GOLDEN_FILE, 'it has no "logits.0"');
  await file.close();
  return inputs;
}
