import { admit, type Service } from "./admission.ts";
import { HttpError, toHttpError } from "./errors.ts";
import type { Format } from "./format.ts";
import { parseMessages } from "./messages.ts";
import { requireModel } from "./models.ts";
import type { ServerOptions } from "./options.ts";
import { reply } from "./reply.ts";
import { type ChatRequest, parseChatRequest } from "./schema.ts";
import type { Sender } from "./sender.ts";
import { refuseUnsupportedChat } from "./unsupported.ts";

/** `POST /v1/chat/completions`. */
export function chat(
  body: Record<string, unknown>,
  sender: Sender,
  service: Service,
): Promise<Response> {
  const { options } = service;
  const request = parseChatRequest(body);
  requireModel(request.model, options.model);
  refuseUnsupportedChat(body);
  const completion = admit({
    request,
    prompts: [options.tokenizer.encode(promptText(request, options), { addSpecialTokens: false })],
    maxTokens: request.max_completion_tokens ?? request.max_tokens ??
      options.defaults?.maxTokens ?? null,
    promptParam: "messages",
    continuesText: false,
    idPrefix: "chatcmpl-",
    sender,
  }, service);
  const isStream = request.stream ?? false;
  const includeUsage = request.stream_options?.include_usage ?? false;
  return reply(
    completion,
    { format: FORMAT, isStream, includeUsage, signal: sender.signal },
    service,
  );
}

const FORMAT: Format = {
  chunkObject: "chat.completion.chunk",
  resultObject: "chat.completion",
  first: (index) => chunkChoice(index, { role: "assistant", content: "" }, null),
  delta: (index, content) => chunkChoice(index, { content }, null),
  last: (index, finishReason) => chunkChoice(index, {}, finishReason),
  choice: (index, content, finishReason) => ({
    index,
    message: { role: "assistant", content, refusal: null },
    logprobs: null,
    finish_reason: finishReason,
  }),
};

function chunkChoice(index: number, delta: Record<string, string>, finishReason: string | null) {
  return { index, delta, logprobs: null, finish_reason: finishReason };
}

function promptText(request: ChatRequest, { chatTemplate, model }: ServerOptions): string {
  const messages = parseMessages(request.messages);
  if (chatTemplate === null) {
    throw new HttpError(
      400,
      `The model '${model.id}' has no chat template: use /v1/completions`,
      { code: "no_chat_template" },
    );
  }
  const { tools, chat_template_kwargs: kwargs } = request;
  try {
    return chatTemplate.render(messages, {
      addGenerationPrompt: request.add_generation_prompt ?? true,
      ...(tools && tools.length > 0 ? { tools } : {}),
      ...(kwargs ? { kwargs } : {}),
    });
  } catch (error) {
    // Templates raise errors of their own, for example when roles do not alternate.
    const { status, message } = toHttpError(error);
    throw new HttpError(status, message, { param: "messages", code: "chat_template_error" });
  }
}
