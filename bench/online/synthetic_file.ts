import { toByteCharacters } from "../../src/tokenizer/byte_alphabet.ts";
import type { ByteSource } from "../../src/formats/byte_source.ts";
import type { TensorEntry } from "../../src/formats/tensor_entry.ts";
import type { ModelSource } from "../../src/weights/model_source.ts";

/**
 * A synthetic model as one that came as a file, so that a coordinator can give its layers to peers:
 * its tensors lie one after the other. It has a tokenizer, too, where every token is a word.
 */
export function asFile(model: ModelSource, { vocabSize }: { readonly vocabSize: number }) {
  const tensors = new Map<string, TensorEntry>();
  let offset = 0;
  for (const [name, entry] of model.tensors) {
    tensors.set(name, { ...entry, offset });
    offset += entry.byteLength;
  }
  const file: ByteSource = {
    name: model.name,
    size: offset,
    origin: { urls: [], version: model.name },
    read: (start, end) => readAcross(model, { tensors: [...tensors.values()], start, end }),
    close: () => Promise.resolve(),
  };
  const tokenizer = JSON.stringify(wordTokenizer(vocabSize));
  return {
    ...model,
    tensors,
    fileOf: (name) => tensors.has(name) ? file : null,
    readText: (fileName) => Promise.resolve(fileName === "tokenizer.json" ? tokenizer : null),
  } satisfies ModelSource;
}

async function readAcross(
  model: ModelSource,
  { tensors, start, end }: {
    readonly tensors: readonly TensorEntry[];
    readonly start: number;
    readonly end: number;
  },
): Promise<Uint8Array> {
  const bytes = new Uint8Array(end - start);
  for (const { name, offset, byteLength } of tensors) {
    const from = Math.max(start, offset);
    const to = Math.min(end, offset + byteLength);
    if (from >= to) continue;
    const range = { start: from - offset, end: to - offset };
    bytes.set(await model.readTensor(name, range), from - start);
  }
  return bytes;
}

/** A tokenizer.json whose token `id` is that number as a word with a space before it. */
function wordTokenizer(vocabSize: number) {
  const words = Array.from({ length: vocabSize }, (_, id) => [toByteCharacters(` ${id}`), id]);
  return {
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
    decoder: { type: "ByteLevel" },
    model: { type: "BPE", vocab: Object.fromEntries(words), merges: [] },
  };
}
