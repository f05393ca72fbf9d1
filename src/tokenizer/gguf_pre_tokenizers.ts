import { GPT2_PATTERN } from "./pre_tokenizer.ts";
import { TokenizerError } from "./tokenizer.ts";

/** What a GGUF's `tokenizer.ggml.pre` stands for, in the terms of a tokenizer.json. */
export interface GgufPreTokenizer {
  readonly preTokenizer: unknown;
  readonly normalizer: unknown;
  readonly ignoresMerges: boolean;
  /** Whether BOS is added where the file does not say. */
  readonly addsBos: boolean;
}

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const WORD = "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+";
const MARKS = " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*";
const SPACES = "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const LLAMA3_PATTERN = `${CONTRACTIONS}|${WORD}|\\p{N}{1,3}|${MARKS}|${SPACES}`;
const QWEN2_PATTERN = `${CONTRACTIONS}|${WORD}|\\p{N}|${MARKS}|${SPACES}`;
const QWEN35_PATTERN = `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}|` +
  ` ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|${SPACES}`;
const UPPER = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
const LOWER = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";
const BEFORE_WORD = "[^\\r\\n\\p{L}\\p{N}]?";
const MARKS_OR_SLASH = " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*";
const TEKKEN_PATTERN = `${BEFORE_WORD}${UPPER}*${LOWER}+|${BEFORE_WORD}${UPPER}+${LOWER}*|` +
  `\\p{N}|${MARKS_OR_SLASH}|${SPACES}`;
const GPT4O_PATTERN = `${BEFORE_WORD}${UPPER}*${LOWER}+${CONTRACTIONS}?|` +
  `${BEFORE_WORD}${UPPER}+${LOWER}*${CONTRACTIONS}?|\\p{N}{1,3}|${MARKS_OR_SLASH}|${SPACES}`;
const DEEPSEEK3_PATTERN = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|" +
  "[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|" + SPACES;

interface Row {
  /** Each pattern cuts what the one before it left, matches and the rest alike. */
  readonly patterns: readonly string[];
  readonly normalizer?: string;
  readonly ignoresMerges?: boolean;
  readonly addsBos?: boolean;
}

const GPT2: Row = { patterns: [GPT2_PATTERN] };
const DIGITS_GPT2: Row = { patterns: ["\\p{N}", GPT2_PATTERN] };
const LLAMA3: Row = { patterns: [LLAMA3_PATTERN], ignoresMerges: true, addsBos: true };
const LLAMA3_PLAIN: Row = { patterns: [LLAMA3_PATTERN] };
const QWEN2: Row = { patterns: [QWEN2_PATTERN], normalizer: "NFC" };
const QWEN2_PLAIN: Row = { patterns: [QWEN2_PATTERN] };
const GPT4O: Row = { patterns: [GPT4O_PATTERN] };
const DEEPSEEK3: Row = { patterns: ["\\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK3_PATTERN] };

/** The names are llama.cpp's; the patterns are those of the models' own tokenizer.json. */
const ROWS: Readonly<Record<string, Row>> = {
  "default": {
    patterns: ["[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2_PATTERN, "\\p{N}+", "[0-9][0-9][0-9]"],
  },
  "gpt-2": GPT2,
  "phi-2": GPT2,
  "mpt": GPT2,
  "olmo": GPT2,
  "jais": GPT2,
  "exaone4": GPT2,
  "trillion": GPT2,
  "granite-docling": GPT2,
  "smollm": DIGITS_GPT2,
  "starcoder": DIGITS_GPT2,
  "refact": DIGITS_GPT2,
  "command-r": DIGITS_GPT2,
  "codeshell": DIGITS_GPT2,
  "exaone": DIGITS_GPT2,
  "llama-bpe": LLAMA3,
  "llama-v3": LLAMA3,
  "llama3": LLAMA3,
  "falcon3": LLAMA3,
  "pixtral": LLAMA3,
  "lfm2": LLAMA3,
  "dbrx": LLAMA3_PLAIN,
  "smaug-bpe": LLAMA3_PLAIN,
  "chatglm-bpe": LLAMA3_PLAIN,
  "glm4": LLAMA3_PLAIN,
  "qwen2": QWEN2,
  "qwen35": { patterns: [QWEN35_PATTERN], normalizer: "NFC" },
  "megrez": QWEN2,
  "deepseek-r1-qwen": QWEN2_PLAIN,
  "stablelm2": QWEN2_PLAIN,
  "hunyuan": QWEN2_PLAIN,
  "tekken": { patterns: [TEKKEN_PATTERN], ignoresMerges: true, addsBos: true },
  "gpt-4o": GPT4O,
  "llama4": GPT4O,
  "minimax-m2": GPT4O,
  "deepseek-coder": {
    patterns: ["[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+", "\\p{N}"],
  },
  "deepseek-v3": DEEPSEEK3,
  "deepseek-r1": DEEPSEEK3,
  "hunyuan-dense": DEEPSEEK3,
};

/** Looks up `tokenizer.ggml.pre`; throws a TokenizerError for a name that is not known. */
export function ggufPreTokenizer(name: string): GgufPreTokenizer {
  const row = Object.hasOwn(ROWS, name) ? ROWS[name] : undefined;
  if (row === undefined) {
    throw new TokenizerError(
      `GGUF pre-tokenizer "${name}" is not supported: use the model's Hugging Face folder, ` +
        "which has a tokenizer.json",
    );
  }
  const splits = row.patterns.map((Regex) => ({
    type: "Split",
    pattern: { Regex },
    behavior: "Isolated",
  }));
  const spellBytes = { type: "ByteLevel", add_prefix_space: false, use_regex: false };
  return {
    preTokenizer: { type: "Sequence", pretokenizers: [...splits, spellBytes] },
    normalizer: row.normalizer === undefined ? null : { type: row.normalizer },
    ignoresMerges: row.ignoresMerges ?? false,
    addsBos: row.addsBos ?? false,
  };
}
