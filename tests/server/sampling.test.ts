import { expect, test } from "vitest";
import { readGenerationConfig } from "../../src/server/generation_config.ts";
import { EOS, fakeServer, pieces, post } from "./fakes.ts";

async function samplingOf(fields: Record<string, unknown>, defaults = {}) {
  const { server, engine } = fakeServer(pieces(["ok"]), { defaults });
  expect((await post(server, "/v1/completions", { prompt: "a", ...fields })).status).toBe(200);
  return engine.calls[0]?.sampling;
}

test("a request without sampling fields draws as OpenAI does, from a random seed", async () => {
  expect(await samplingOf({})).toEqual({
    maxTokens: 16,
    temperature: 1,
    topP: 1,
    topK: 0,
    minP: 0,
    seed: 1,
    presencePenalty: 0,
    frequencyPenalty: 0,
    repetitionPenalty: 1,
    stopTokenIds: [EOS],
  });
});

test("every sampling field reaches the engine", async () => {
  const fields = {
    max_tokens: 3,
    temperature: 0.5,
    top_p: 0.9,
    top_k: 40,
    min_p: 0.05,
    seed: 42,
    presence_penalty: 0.1,
    frequency_penalty: 0.2,
    repetition_penalty: 1.1,
    stop_token_ids: [5, 0],
  };
  expect(await samplingOf(fields, { temperature: 2, topK: 3 })).toEqual({
    maxTokens: 3,
    temperature: 0.5,
    topP: 0.9,
    topK: 40,
    minP: 0.05,
    seed: 42,
    presencePenalty: 0.1,
    frequencyPenalty: 0.2,
    repetitionPenalty: 1.1,
    stopTokenIds: [EOS, 5],
  });
});

test("llama.cpp's names and edge values are understood", async () => {
  expect(await samplingOf({ repeat_penalty: 1.2 })).toMatchObject({ repetitionPenalty: 1.2 });
  expect(await samplingOf({ top_k: -1, seed: -1 })).toMatchObject({ topK: 0, seed: 2 ** 32 - 1 });
  expect(await samplingOf({ temperature: 1e-9 })).toMatchObject({ temperature: 0 });
  expect(await samplingOf({ ignore_eos: true })).toMatchObject({ stopTokenIds: [] });
});

test("the model's generation_config.json gives the defaults", async () => {
  const { defaults, eosTokenIds } = readGenerationConfig({
    temperature: 0.6,
    top_p: 0.95,
    top_k: 20,
    repetition_penalty: 1.05,
    min_p: "broken",
    eos_token_id: [7, 8],
    transformers_version: "4.51.0",
  });
  expect(eosTokenIds).toEqual([7, 8]);
  expect(readGenerationConfig({ eos_token_id: 2 }).eosTokenIds).toEqual([2]);
  expect(readGenerationConfig("nonsense")).toEqual({ defaults: {}, eosTokenIds: [] });
  expect(await samplingOf({ top_k: 0 }, defaults)).toMatchObject({
    temperature: 0.6,
    topP: 0.95,
    topK: 0,
    minP: 0,
    repetitionPenalty: 1.05,
  });
});
