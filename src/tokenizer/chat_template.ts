import { Environment, Interpreter, Template } from "@huggingface/jinja";
import { type ChatMessage, normalizeMessage } from "./chat_message.ts";
import { ChatTemplateError } from "./chat_template_error.ts";
import { isObject } from "./json_shape.ts";
import { strftime } from "./strftime.ts";

/** Where a model's templates and the words they use come from. */
export interface ChatTemplateParts {
  /** Jinja sources by name; "default" is the one that chats use. Empty: the model has none. */
  readonly templates: ReadonlyMap<string, string>;
  /** `bos_token`, `eos_token` and the like, as templates name them. */
  readonly specialTokens: Readonly<Record<string, string>>;
  /** The time that `strftime_now` tells. */
  readonly now: () => Date;
}

/** What a request may ask of the rendering. */
export interface ChatTemplateOptions {
  /** Ends the prompt where the assistant's answer starts; on unless told otherwise. */
  readonly addGenerationPrompt?: boolean;
  readonly tools?: readonly unknown[] | null;
  readonly documents?: readonly unknown[] | null;
  /** `chat_template_kwargs`: variables for the template, such as `enable_thinking`. */
  readonly kwargs?: Readonly<Record<string, unknown>>;
}

/** Longest list that `range` makes: far more than a conversation, far less than memory. */
const MAX_RANGE = 1 << 20;

/** Renders conversations into prompts with a model's own Jinja template. */
export class ChatTemplate {
  readonly #parts: ChatTemplateParts;
  readonly #parsed = new Map<string, Template>();

  constructor(parts: ChatTemplateParts) {
    this.#parts = parts;
  }

  /** Whether the model came with a template; without one `render` throws. */
  get exists(): boolean {
    return this.#parts.templates.size > 0;
  }

  /**
   * The prompt for a conversation. It holds the model's special tokens, so encode it with
   * `addSpecialTokens: false`. Throws a ChatTemplateError when the template refuses.
   */
  render(messages: readonly ChatMessage[], options: ChatTemplateOptions = {}): string {
    const { addGenerationPrompt = true, tools = null, documents = null, kwargs = {} } = options;
    const template = this.#template(kwargs.chat_template, tools !== null);
    const environment = new Environment();
    const variables = {
      ...this.#globals(),
      ...this.#parts.specialTokens,
      add_generation_prompt: addGenerationPrompt,
      ...kwargs,
      messages: messages.map(normalizeMessage),
      tools: tools !== null && tools.length > 0 ? tools : null,
      documents,
    };
    try {
      for (const [name, value] of Object.entries(variables)) environment.set(name, value);
      return String(new Interpreter(environment).run(template.parsed).value);
    } catch (error) {
      throw refusal("Chat template refused the conversation", error);
    }
  }

  /** A template by name, as the request or the presence of tools asks for it. */
  #template(wanted: unknown, hasTools: boolean): Template {
    const { templates } = this.#parts;
    if (!this.exists) {
      throw new ChatTemplateError(
        "Model has no chat template: put a chat_template.jinja beside its tokenizer.json, or send " +
          "a plain prompt to /v1/completions",
      );
    }
    const names = typeof wanted === "string"
      ? [wanted]
      : [...(hasTools ? ["tool_use"] : []), "default"];
    const name = names.find((name) => templates.has(name)) ??
      (typeof wanted === "string" || templates.size > 1 ? null : [...templates.keys()][0]!);
    if (name === null) {
      throw new ChatTemplateError(
        `Model has no chat template "${names.at(-1)}": set chat_template_kwargs.chat_template to ` +
          `one of "${[...templates.keys()].join('", "')}"`,
      );
    }
    const parsed = this.#parsed.get(name) ?? parse(templates.get(name)!);
    this.#parsed.set(name, parsed);
    return parsed;
  }

  /** What every template may call. The library's own clock cannot be set, so these replace its. */
  #globals(): Record<string, unknown> {
    return {
      true: true,
      false: false,
      none: null,
      True: true,
      False: false,
      None: null,
      range,
      raise_exception: (message: unknown) => {
        throw new Error(String(message));
      },
      strftime_now: (format: unknown) => strftime(this.#parts.now(), String(format)),
    };
  }
}

/** Sources of a model folder: the parsed tokenizer_config.json and the text of chat_template.jinja. */
export interface ChatTemplateFiles {
  readonly tokenizerConfig?: unknown;
  /** Takes the place of the configuration's own template. */
  readonly jinja?: string | null;
}

/** The chat template of a Hugging Face folder. */
export function chatTemplateFromConfig(
  { tokenizerConfig, jinja }: ChatTemplateFiles,
  now: () => Date,
): ChatTemplate {
  const config = isObject(tokenizerConfig) ? tokenizerConfig : {};
  const templates = readTemplates(config.chat_template);
  if (typeof jinja === "string") templates.set("default", jinja);
  const specialTokens: Record<string, string> = {};
  for (const [name, token] of Object.entries(config)) {
    const content = isObject(token) ? token.content : token;
    if (name.endsWith("_token") && typeof content === "string") specialTokens[name] = content;
  }
  return new ChatTemplate({ templates, specialTokens, now });
}

/** The chat template in a GGUF's metadata. */
export function chatTemplateFromGguf(
  metadata: ReadonlyMap<string, unknown>,
  now: () => Date,
): ChatTemplate {
  const templates = new Map<string, string>();
  const specialTokens: Record<string, string> = {};
  const tokens = metadata.get("tokenizer.ggml.tokens");
  for (const [key, value] of metadata) {
    const named = /^tokenizer\.chat_template(?:\.(.+))?$/.exec(key);
    if (named !== null && typeof value === "string") templates.set(named[1] ?? "default", value);
    const special = /^tokenizer\.ggml\.(bos|eos|unknown|padding)_token_id$/.exec(key)?.[1];
    const token: unknown = Array.isArray(tokens) ? tokens[Number(value)] : undefined;
    if (special === undefined || typeof token !== "string") continue;
    const name = { unknown: "unk", padding: "pad" }[special] ?? special;
    specialTokens[`${name}_token`] = token;
  }
  return new ChatTemplate({ templates, specialTokens, now });
}

function readTemplates(value: unknown): Map<string, string> {
  if (typeof value === "string") return new Map([["default", value]]);
  const templates = new Map<string, string>();
  for (const entry of Array.isArray(value) ? value : []) {
    if (isObject(entry) && typeof entry.template === "string") {
      templates.set(String(entry.name), entry.template);
    }
  }
  return templates;
}

function parse(source: string): Template {
  try {
    return new Template(source);
  } catch (error) {
    throw refusal("Chat template cannot be read", error);
  }
}

function refusal(what: string, error: unknown): ChatTemplateError {
  const reason = error instanceof Error ? error.message : String(error);
  return new ChatTemplateError(`${what}: ${reason}`, { cause: error });
}

/** Python's `range`, as a list. */
function range(...bounds: (number | undefined)[]): number[] {
  const given = bounds.filter((bound) => typeof bound === "number");
  const [start, stop] = given.length < 2 ? [0, given[0] ?? 0] : [given[0]!, given[1]!];
  const step = given[2] ?? 1;
  if (step === 0) throw new Error("range() needs a step that is not 0");
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (length > MAX_RANGE) throw new Error(`range() of ${length} numbers is too long`);
  return Array.from({ length }, (_, index) => start + index * step);
}
