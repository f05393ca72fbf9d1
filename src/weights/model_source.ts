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
  const typeName = source.unreadable.get(name);
  throw new FormatError(
    source.name,
    typeName === undefined
      ? `tensor "${name}" is missing: is this the whole model?`
      : `tensor "${name}" is ${typeName}, which is not supported: use a model in one of ` +
        Object.keys(WEIGHT_FORMATS).map((format) => format.toUpperCase()).join(", "),
  );
}
