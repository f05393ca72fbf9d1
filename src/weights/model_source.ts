/**
 * A model as its loader sees it, whatever it comes from: a configuration, tensors by their Hugging
 * Face names, and the texts beside them.
 *
 * @module
 */
import type { HfConfig } from "../core.ts";
import type { ByteSource } from "../formats/byte_source.ts";
import { FormatError } from "../formats/format_error.ts";
import type { GgufMetadata } from "../formats/gguf_value.ts";
import type { TensorEntry } from "../formats/tensor_entry.ts";
import { WEIGHT_FORMATS } from "../formats/weight_format.ts";

/** An open model. */
export interface ModelSource {
  /** What /v1/models shows. */
  readonly name: string;
  /** The parsed config.json, or what GGUF metadata amounts to. */
  readonly hfConfig: HfConfig;
  /** All metadata of a GGUF file, for its tokenizer; null for other models. */
  readonly gguf: GgufMetadata | null;
  /** Readable tensors by Hugging Face name; GGUF tensors without one keep their own. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** Type names of the tensors that no kernel reads, by name. */
  readonly unreadable: ReadonlyMap<string, string>;
  /** The tensor's native bytes, or those at `range` within it. Throws for a name not in `tensors`. */
  readTensor(name: string, range?: { start: number; end: number }): Promise<Uint8Array>;
  /** The file that a tensor's entry speaks of; null where there is none, or no such tensor. */
  fileOf(name: string): ByteSource | null;
  /** A file beside the weights, such as "tokenizer.json"; null when there is none. */
  readText(fileName: string): Promise<string | null>;
  close(): Promise<void>;
}

/** The entry of a tensor that the model cannot do without. Throws a FormatError that says why not. */
export function requireTensor(
  source: Pick<ModelSource, "name" | "tensors" | "unreadable">,
  name: string,
): TensorEntry {
  const entry = source.tensors.get(name);
  if (entry) return entry;
  const stored = quantisedNames(name).find((known) => source.unreadable.has(known));
  throw new FormatError(
    source.name,
    stored === undefined
      ? `tensor "${name}" is missing: is this the whole model?`
      : `tensor "${stored}" is ${source.unreadable.get(stored)}, which is not supported: use the ` +
        "model's repository in BF16 or a GGUF file of it, in one of " +
        Object.keys(WEIGHT_FORMATS).map((format) => format.toUpperCase()).join(", "),
  );
}

/** What the tensor may be called where its values are packed: as itself, by MXFP4, GPTQ and others. */
function quantisedNames(name: string): string[] {
  const packed = ["qweight", "weight_packed"].map((kind) => name.replace(/\bweight$/, kind));
  return [name, `${name}_blocks`, ...packed];
}
