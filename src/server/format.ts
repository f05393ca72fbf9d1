import type { Delta } from "./choice.ts";
import type { Completion } from "./completion.ts";

/** The objects that one endpoint answers with; the rest of an answer is the same for all. */
export interface Format {
  /** `object` of a stream's chunks and of a whole answer. */
  readonly chunkObject: string;
  readonly resultObject: string;
  /** What a stream says of a choice before its first token; null for nothing. */
  first(index: number): unknown;
  /** A streamed choice with new text. */
  delta(index: number, text: string): unknown;
  /** The last streamed choice, without text. */
  last(index: number, finishReason: string): unknown;
  /** A choice of a whole answer. */
  choice(index: number, text: string, finishReason: string): unknown;
}

/** What every object of an answer carries. */
export interface Signature {
  readonly model: string;
  readonly fingerprint: string;
}

/** The objects of a stream, in order. */
export async function* chunks(
  completion: Completion,
  { format, signature, includeUsage }: {
    format: Format;
    signature: Signature;
    includeUsage: boolean;
  },
): AsyncGenerator<unknown> {
  const chunk = (choices: unknown[], more: Record<string, unknown> = {}) => ({
    ...head(completion, format.chunkObject, signature),
    choices,
    ...(includeUsage ? { usage: null } : {}),
    ...more,
  });
  for (let index = 0; index < completion.numChoices; index++) {
    const choice = format.first(index);
    if (choice !== null) yield chunk([choice]);
  }
  let numOpen = completion.numChoices;
  for await (const { index, text, finishReason } of completion.deltas()) {
    if (text !== "") yield chunk([format.delta(index, text)]);
    if (finishReason === null) continue;
    numOpen -= 1;
    const more = numOpen === 0 ? { timings: completion.timings() } : {};
    yield chunk([format.last(index, finishReason)], more);
  }
  if (includeUsage) yield chunk([], { usage: completion.usage(), timings: completion.timings() });
}

/** The whole answer, once every choice has ended. */
export async function result(
  completion: Completion,
  { format, signature }: { format: Format; signature: Signature },
): Promise<unknown> {
  const texts = Array.from({ length: completion.numChoices }, () => "");
  const reasons: Delta["finishReason"][] = texts.map(() => null);
  for await (const { index, text, finishReason } of completion.deltas()) {
    texts[index] += text;
    reasons[index] = finishReason;
  }
  return {
    ...head(completion, format.resultObject, signature),
    choices: texts.map((text, index) => format.choice(index, text, reasons[index] ?? "stop")),
    usage: completion.usage(),
    timings: completion.timings(),
  };
}

function head(completion: Completion, object: string, { model, fingerprint }: Signature) {
  const { id, created } = completion;
  return { id, object, created, model, system_fingerprint: fingerprint };
}
