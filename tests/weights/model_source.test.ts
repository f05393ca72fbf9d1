import { describe, expect, test } from "vitest";
import type { ModelFiles } from "../../src/weights/model_files.ts";
import { openGgufModel } from "../../src/weights/gguf_model.ts";
import { MemorySource } from "../../src/weights/memory_source.ts";
import { requireTensor } from "../../src/weights/model_source.ts";
import { openSafetensorsModel } from "../../src/weights/safetensors_model.ts";
import { asBytes, CONFIG, ggufModel, safetensors, shardedRepo } from "./model_fixture.ts";

function filesOf(files: Record<string, Uint8Array>): ModelFiles {
  return {
    name: "folder",
    open: (fileName) =>
      Promise.resolve(
        Object.hasOwn(files, fileName)
          ? new MemorySource(`folder/${fileName}`, files[fileName]!)
          : null,
      ),
  };
}

const open = (files: Record<string, Uint8Array>) =>
  openSafetensorsModel(filesOf(files), { name: "m" });

function floats(bytes: Uint8Array): number[] {
  return [...new Float32Array(bytes.slice().buffer)];
}

test("a single file is opened with its configuration and texts", async () => {
  const model = await open({
    "config.json": asBytes(JSON.stringify(CONFIG)),
    "tokenizer.json": asBytes("tokens"),
    "model.safetensors": safetensors(["a", "b"]),
  });
  expect(model.name).toBe("m");
  expect(model.hfConfig).toEqual(CONFIG);
  expect(model.gguf).toBeNull();
  expect(floats(await model.readTensor("b"))).toEqual([4, 5, 6, 7]);
  expect(floats(await model.readTensor("b", { start: 4, end: 12 }))).toEqual([5, 6]);
  await expect(model.readTensor("b", { start: 4, end: 17 })).rejects.toThrow(RangeError);
  await expect(model.readTensor("c")).rejects.toThrow('There is no readable tensor "c"');
  expect(await model.readText("tokenizer.json")).toBe("tokens");
  expect(await model.readText("chat_template.jinja")).toBeNull();
  expect(requireTensor(model, "a").shape).toEqual([2, 2]);
  expect(() => requireTensor(model, "lm_head.weight")).toThrow('"lm_head.weight" is missing');
  await model.close();
});

test("shards are opened by their index", async () => {
  const model = await open(shardedRepo());
  expect([...model.tensors.keys()]).toEqual(["model.embed_tokens.weight", "model.norm.weight"]);
  expect(floats(await model.readTensor("model.norm.weight"))).toEqual([100, 101, 102, 103]);
});

test("the language model of a multimodal one has the names that it has alone", async () => {
  for (const prefix of ["language_model.model.", "model.language_model."]) {
    const names = [`${prefix}norm.weight`, "language_model.lm_head.weight", "vision.norm.weight"];
    const model = await open({
      "config.json": asBytes(JSON.stringify(CONFIG)),
      "model.safetensors": safetensors(names),
    });
    const found = ["model.norm.weight", "lm_head.weight", "vision.norm.weight"];
    expect([...model.tensors.keys()]).toEqual(found);
    expect(floats(await model.readTensor("lm_head.weight"))).toEqual([4, 5, 6, 7]);
    expect(model.tensors.get("model.norm.weight")!.name).toBe("model.norm.weight");
  }
});

describe("openSafetensorsModel() refuses", () => {
  test("a folder without a configuration or weights", async () => {
    await expect(open({})).rejects.toThrow('Cannot read "folder": there is no "config.json"');
    await expect(open({ "config.json": asBytes("{}") })).rejects.toThrow("there is neither");
    await expect(open({ "config.json": asBytes("[]") })).rejects.toThrow("no JSON object");
  });

  test("a missing shard", async () => {
    const { "model-00002-of-00002.safetensors": _, ...rest } = shardedRepo();
    await expect(open(rest)).rejects.toThrow('shard "model-00002-of-00002.safetensors" is missing');
  });

  test("a shard without a tensor that the index places there", async () => {
    const repo = shardedRepo();
    repo["model-00002-of-00002.safetensors"] = safetensors(["other"]);
    await expect(open(repo)).rejects.toThrow('tensor "model.norm.weight" is missing');
  });

  test.each([
    "../secret.safetensors",
    "/etc/model.safetensors",
    "a/../../b.safetensors",
    "sub/model.safetensors",
    "..\\x.safetensors",
    "config.json",
    "",
    7,
  ])("an index that places a tensor in %j", async (shard) => {
    const repo = shardedRepo();
    repo["model.safetensors.index.json"] = asBytes(JSON.stringify({ weight_map: { w: shard } }));
    await expect(open(repo)).rejects.toThrow("no .safetensors file beside it");
  });

  test("an index that is no index", async () => {
    const repo = shardedRepo();
    repo["model.safetensors.index.json"] = asBytes("{}");
    await expect(open(repo)).rejects.toThrow('it has no "weight_map"');
    repo["model.safetensors.index.json"] = asBytes("{");
    await expect(open(repo)).rejects.toThrow("it is not JSON");
  });
});

test("a GGUF is opened under Hugging Face names, with its rope divisors in the config", async () => {
  const model = await openGgufModel(new MemorySource("m.gguf", ggufModel()), { name: "m" });
  expect([...model.tensors.keys()]).toEqual(["model.embed_tokens.weight", "rope_freqs.weight"]);
  expect(model.tensors.get("model.embed_tokens.weight")!.shape).toEqual([2, 256]);
  expect(model.hfConfig).toMatchObject({
    model_type: "llama",
    vocab_size: 2,
    rope_interleaved: true,
    rope_scaling: { rope_type: "factors", factors: [0, 0, 0] },
  });
  expect(model.gguf!.get("general.architecture")).toBe("llama");
  expect(await model.readText("tokenizer.json")).toBeNull();
  expect((await model.readTensor("model.embed_tokens.weight")).length).toBe(2048);
});

test("a tensor in a type that no kernel reads fails for who needs it", async () => {
  const source = new MemorySource("m.gguf", ggufModel({ embeddingType: 13 }));
  const model = await openGgufModel(source, { name: "m" });
  expect(model.tensors.has("model.embed_tokens.weight")).toBe(false);
  expect(() => requireTensor(model, "model.embed_tokens.weight")).toThrow(
    'Cannot read "m": tensor "model.embed_tokens.weight" is Q5_K, which is not supported: use ' +
      "the model's repository in BF16 or a GGUF file of it, in one of F32, F16, BF16, Q4_0, Q4_1, " +
      "Q8_0, Q4_K, Q6_K",
  );
});

test.each([
  ["F8_E4M3", "model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight"],
  ["U8", "model.layers.0.mlp.experts.down_proj", "model.layers.0.mlp.experts.down_proj_blocks"],
  ["I32", "model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.qweight"],
  ["I32", "model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight_packed"],
])("values packed as %s are named where %s is wanted", (typeName, wanted, stored) => {
  const model = { name: "m", tensors: new Map(), unreadable: new Map([[stored, typeName]]) };
  expect(() => requireTensor(model, wanted))
    .toThrow(`tensor "${stored}" is ${typeName}, which is not supported: use the model's`);
});
