/** The server with a real model's tokenizer and chat template; only the engine plays a script. */
import { expect, test } from "vitest";
import { chatTemplateFromConfig } from "../../src/tokenizer/chat_template.ts";
import { tokenizerFromJson } from "../../src/tokenizer/tokenizer_json.ts";
import { hubFiles } from "../tokenizer/real_tokenizers.ts";
import { events, fakeServer, post } from "./fakes.ts";

const ANSWER = "Paris 🗼 is 東京's 👩‍👩‍👧 sister.\n\nEND of story";

const { json, config } = hubFiles("qwen3");
const tokenizer = tokenizerFromJson(json, config);
const chatTemplate = chatTemplateFromConfig({ tokenizerConfig: config }, () => new Date(0));

function qwenServer() {
  return fakeServer(async function* () {
    for (const id of tokenizer.encode(ANSWER, { addSpecialTokens: false })) {
      yield { tokenIds: [id], finishReason: null };
    }
    yield { tokenIds: [], finishReason: "stop" };
  }, { tokenizer, chatTemplate });
}

test("a stream of a real tokenizer's tokens never shows half a character", async () => {
  const { server, engine } = qwenServer();
  const body = { messages: [{ role: "user", content: "Where?" }], stream: true };
  const parts = await events(await post(server, "/v1/chat/completions", body));
  const texts = (parts as { choices?: { delta: { content?: string } }[] }[])
    .map(({ choices }) => choices?.[0]?.delta.content ?? "");
  expect(texts.join("")).toBe(ANSWER);
  for (const text of texts) expect(text.isWellFormed() && !text.includes("\ufffd")).toBe(true);
  const prompt = engine.calls[0]!.prompt.map((id) => tokenizer.idToToken(id)).join("");
  expect(prompt).toBe("<|im_start|>userĊWhere?<|im_end|>Ċ<|im_start|>assistantĊ");
});

test("a stop string inside real tokens cuts the text before it", async () => {
  const { server } = qwenServer();
  for (const stop of ["東京", "\n\nE", "of st"]) {
    const response = await post(server, "/v1/completions", { prompt: "Where?", stop });
    expect(await response.json()).toMatchObject({
      choices: [{ text: ANSWER.slice(0, ANSWER.indexOf(stop)), finish_reason: "stop" }],
    });
  }
});
