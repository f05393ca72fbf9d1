import { expect, test } from "vitest";
import { asFile } from "../../bench/online/synthetic_file.ts";
import { syntheticModel } from "../../bench/synthetic_model.ts";
import { decodeTokens } from "../../src/tokenizer/detokenizer.ts";
import { readModelText } from "../../src/model_text.ts";
import { architectureOf } from "../../src/models/registry.ts";
import { findOverlap } from "../../src/formats/tensor_entry.ts";
import { ModelShare } from "../../src/weights/model_share.ts";

const TINY = {
  model_type: "llama",
  vocab_size: 500,
  hidden_size: 64,
  intermediate_size: 128,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  max_position_embeddings: 512,
  tie_word_embeddings: false,
};
const model = syntheticModel(TINY, { name: "tiny q4_0 (random)", format: "q4_0" });
const config = architectureOf(TINY).readConfig(TINY);

test("peers read the same tensors from the file as the model has", async () => {
  const source = asFile(model, config);
  const share = new ModelShare(source);
  const { files: [file], tensors } = await share.manifest([...model.tensors.keys()]);
  expect(tensors).toHaveLength(model.tensors.size);
  expect(findOverlap(tensors.map((tensor) => ({ ...tensor, typeName: tensor.format })))).toBeNull();
  for (const { name, offset, byteLength } of tensors) {
    const bytes = await share.readFile(file!.key, { start: offset, end: offset + byteLength });
    expect(bytes, name).toEqual(await model.readTensor(name));
  }
  // Across the end of one tensor and the whole of the next.
  const [first, second] = tensors;
  const range = { start: first!.byteLength - 7, end: first!.byteLength + second!.byteLength };
  const bytes = await share.readFile(file!.key, range);
  expect(bytes.subarray(0, 7)).toEqual((await model.readTensor(first!.name)).slice(-7));
  expect(bytes.subarray(7)).toEqual(await model.readTensor(second!.name));
});

test("every token of its vocabulary is a word of its own, so that each makes a piece of text", async () => {
  const { tokenizer } = await readModelText(asFile(model, config), () => new Date(0));
  expect(tokenizer.vocabSize).toBe(500);
  expect(tokenizer.eosTokenIds).toEqual([]);
  const texts = Array.from({ length: 500 }, (_, id) => decodeTokens(tokenizer, [id]));
  expect(texts[0]).toBe(" 0");
  expect(texts[499]).toBe(" 499");
  expect(new Set(texts).size).toBe(500);
});
