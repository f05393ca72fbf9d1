import { expect, test } from "vitest";
import {
  ChatTemplate,
  chatTemplateFromConfig,
  chatTemplateFromGguf,
} from "../../src/tokenizer/chat_template.ts";
import { ChatTemplateError } from "../../src/tokenizer/chat_template_error.ts";
import { strftime } from "../../src/tokenizer/strftime.ts";
import { hubFiles, smolLm2Metadata } from "./real_tokenizers.ts";

const NOW = new Date("2026-03-05T09:07:02Z");
const now = () => NOW;
const fromJinja = (jinja: string, tokenizerConfig: unknown = {}) =>
  chatTemplateFromConfig({ tokenizerConfig, jinja }, now);
const HI = [{ role: "user", content: "Hi" }];

test("SmolLM2's GGUF: its own system prompt comes first unless there is one", () => {
  const template = chatTemplateFromGguf(smolLm2Metadata(), now);
  expect(template.render(HI)).toBe(
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face" +
      "<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
  );
  const messages = [{ role: "system", content: "Be brief" }, ...HI];
  expect(template.render(messages, { addGenerationPrompt: false })).toBe(
    "<|im_start|>system\nBe brief<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n",
  );
});

test("Llama 3's template starts with BOS", () => {
  const template = chatTemplateFromConfig({ tokenizerConfig: hubFiles("llama3").config }, now);
  expect(template.render(HI)).toBe(
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>" +
      "<|start_header_id|>assistant<|end_header_id|>\n\n",
  );
});

test("Qwen3's template: thinking is switched by a template argument, tools are listed", () => {
  const template = chatTemplateFromConfig({ tokenizerConfig: hubFiles("qwen3").config }, now);
  expect(template.render(HI, { kwargs: { enable_thinking: false } })).toBe(
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
  );
  const tool = { type: "function", function: { name: "add", parameters: { type: "object" } } };
  const prompt = template.render(
    [
      ...HI,
      {
        role: "assistant",
        content: null,
        tool_calls: [{
          id: "1",
          type: "function",
          function: { name: "add", arguments: '{"a": 1, "b": [2]}' },
        }],
      },
      { role: "tool", tool_call_id: "1", content: "3" },
    ],
    { tools: [tool] },
  );
  expect(prompt).toContain(
    '<tools>\n{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}\n' +
      "</tools>",
  );
  expect(prompt).toContain(
    '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": [2]}}\n</tool_call><|im_end|>\n' +
      "<|im_start|>user\n<tool_response>\n3\n</tool_response><|im_end|>\n<|im_start|>assistant\n",
  );
});

test("arguments of a tool call that are not an object stay as they are", () => {
  const template = fromJinja("{{ messages[0].tool_calls[0].function.arguments }}");
  const call = (text: string) => [{
    role: "assistant",
    tool_calls: [{ function: { name: "f", arguments: text } }],
  }];
  expect(template.render(call("{oops"))).toBe("{oops");
  expect(template.render(call("[1]"))).toBe("[1]");
});

test("content may be a list of text parts; other parts are refused", () => {
  const template = fromJinja("{{ messages[0].content }}");
  const render = (content: unknown) => template.render([{ role: "user", content } as never]);
  expect(render([{ type: "text", text: "a" }, { type: "text", text: "b" }])).toBe("a\nb");
  expect(render(null)).toBe("");
  expect(() => render([{ type: "image_url", image_url: { url: "x" } }])).toThrow(
    'Content part of type "image_url" is not supported: send text parts',
  );
  expect(() => render(7)).toThrow(ChatTemplateError);
});

test("a template sees special tokens, the injected time, its arguments and absent tools", () => {
  const template = fromJinja(
    "{{ bos_token }}|{{ eos_token }}|{{ strftime_now('%d %b %Y') }}|{{ style }}|" +
      "{{ tools is none }}|{% for i in range(3) %}{{ i }}{% endfor %}",
    { bos_token: { content: "<s>" }, eos_token: "</s>" },
  );
  expect(template.render(HI, { kwargs: { style: "x" } })).toBe(
    "<s>|</s>|05 Mar 2026|x|True|012".replace("True", "true"),
  );
});

test("arguments cannot replace the conversation", () => {
  const template = fromJinja("{{ messages[0].content }}{{ tools is none }}");
  expect(template.render(HI, { kwargs: { messages: [{ content: "no" }], tools: [1] } })).toBe(
    "Hitrue",
  );
});

test("what a template refuses or gets wrong is the client's error, with its words", () => {
  const render = (jinja: string) => () => fromJinja(jinja).render(HI);
  expect(render("{{ raise_exception('Roles must alternate') }}")).toThrow(
    "Chat template refused the conversation: Roles must alternate",
  );
  expect(render("{% if %}")).toThrow("Chat template cannot be read");
  expect(render("{% for i in range(100000000) %}{% endfor %}")).toThrow("too long");
  expect(render("{{ 1 | nonesuch }}")).toThrow(ChatTemplateError);
  try {
    render("{{ raise_exception('x') }}")();
  } catch (error) {
    expect((error as ChatTemplateError).status).toBe(400);
  }
});

test("a model without a template says what to do", () => {
  const template = chatTemplateFromConfig({ tokenizerConfig: {} }, now);
  expect(template.exists).toBe(false);
  expect(() => template.render(HI)).toThrow("Model has no chat template: put");
});

test("named templates: tools choose theirs, a request may name one, a file replaces the default", () => {
  const config = {
    chat_template: [
      { name: "default", template: "plain" },
      { name: "tool_use", template: "tools" },
      { name: "rag", template: "rag" },
    ],
  };
  const template = chatTemplateFromConfig({ tokenizerConfig: config }, now);
  expect(template.render(HI)).toBe("plain");
  expect(template.render(HI, { tools: [{}] })).toBe("tools");
  expect(template.render(HI, { kwargs: { chat_template: "rag" } })).toBe("rag");
  expect(() => template.render(HI, { kwargs: { chat_template: "no" } })).toThrow(
    'Model has no chat template "no"',
  );
  const replaced = chatTemplateFromConfig({ tokenizerConfig: config, jinja: "file" }, now);
  expect(replaced.render(HI)).toBe("file");
  const gguf = new Map([
    ["tokenizer.chat_template", "plain"],
    ["tokenizer.chat_template.tool_use", "tools"],
  ]);
  expect(chatTemplateFromGguf(gguf, now).render(HI, { tools: [{}] })).toBe("tools");
  const only = new ChatTemplate({ templates: new Map([["x", "y"]]), specialTokens: {}, now });
  expect(only.render(HI)).toBe("y");
});

test("strftime() writes what Python writes, in UTC", () => {
  expect(strftime(NOW, "%A %a %d %B %b %Y %y %m %H:%M:%S %I %p %j %-d %-m %F %T %Z%z %% %Q")).toBe(
    "Thursday Thu 05 March Mar 2026 26 03 09:07:02 09 AM 064 5 3 2026-03-05 09:07:02 UTC+0000 % %Q",
  );
});
