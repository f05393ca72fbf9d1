import { toByteCharacters } from "./byte_alphabet.ts";
import { asArray, asObject, type JsonObject } from "./json_shape.ts";
import { compileSplit, type Split, type SplitBehavior } from "./split_pattern.ts";
import { TokenizerError } from "./tokenizer.ts";

/** GPT-2's way of cutting text into words, as the `ByteLevel` pre-tokenizer has it built in. */
export const GPT2_PATTERN =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** Cuts a piece in two or more, or changes it. `isFirst`: it starts the text. */
type Step = (piece: string, isFirst: boolean, parts: string[]) => void;

/** Cuts normalised text into the pieces that are encoded one by one. */
export class PreTokenizer {
  readonly #steps: readonly Step[];
  /** Pieces are to be encoded byte by byte. */
  readonly isByteLevel: boolean;

  /** `config` is the `pre_tokenizer` of a tokenizer.json; null cuts nothing. */
  constructor(config: unknown) {
    const steps = config === null || config === undefined ? [] : compile(asStep(config));
    // The last step, which spells bytes as characters, is left to the byte alphabet: much faster.
    this.isByteLevel = steps.at(-1) === spellBytes;
    this.#steps = this.isByteLevel ? steps.slice(0, -1) : steps;
  }

  /** The pieces of a text; `isFirst` when nothing stands before it. */
  split(text: string, isFirst: boolean): string[] {
    let pieces = [text];
    for (const step of this.#steps) {
      const parts: string[] = [];
      for (let i = 0; i < pieces.length; i++) step(pieces[i]!, isFirst && i === 0, parts);
      pieces = parts;
    }
    return pieces;
  }
}

function asStep(config: unknown): JsonObject {
  return asObject(config, "pre_tokenizer");
}

function compile(config: JsonObject): Step[] {
  switch (config.type) {
    case "Sequence":
      return asArray(config.pretokenizers, "pretokenizers").flatMap((step) =>
        compile(asStep(step))
      );
    case "Split":
      return [splitStep(config as unknown as Split, config.invert === true)];
    case "ByteLevel":
      return byteLevelSteps(config);
    case "Metaspace":
      return metaspaceSteps(config);
    case "Digits":
      return [regexStep("\\p{N}", config.individual_digits === true ? "Isolated" : "Contiguous")];
    case "Punctuation":
      return [regexStep(
        "[\\p{P}!-/:-@\\[-`{-~]",
        (config.behavior ?? "Isolated") as SplitBehavior,
      )];
    case "WhitespaceSplit":
      return [regexStep("\\s", "Removed")];
    case "Whitespace":
      return [splitStep({ pattern: { Regex: "\\w+|[^\\w\\s]+" }, behavior: "Removed" }, true)];
    case "CharDelimiterSplit":
      return [splitStep(
        { pattern: { String: String(config.delimiter) }, behavior: "Removed" },
        false,
      )];
    default:
      throw new TokenizerError(
        `Pre-tokenizer "${config.type}" is not supported: use a model with a BPE tokenizer`,
      );
  }
}

function splitStep({ pattern, behavior }: Split, isInverted: boolean): Step {
  const split = compileSplit({ pattern, behavior, isInverted });
  return (piece, _isFirst, parts) => split(piece, parts);
}

function regexStep(source: string, behavior: SplitBehavior): Step {
  return splitStep({ pattern: { Regex: source }, behavior }, false);
}

function byteLevelSteps(config: JsonObject): Step[] {
  const steps: Step[] = [];
  if (config.add_prefix_space !== false) {
    steps.push((piece, _isFirst, parts) => {
      parts.push(piece.startsWith(" ") ? piece : ` ${piece}`);
    });
  }
  if (config.use_regex !== false) steps.push(regexStep(GPT2_PATTERN, "Isolated"));
  return [...steps, spellBytes];
}

function spellBytes(piece: string, _isFirst: boolean, parts: string[]): void {
  parts.push(toByteCharacters(piece));
}

function metaspaceSteps(config: JsonObject): Step[] {
  const replacement = String(config.replacement ?? "▁");
  const scheme = config.prepend_scheme ?? (config.add_prefix_space === false ? "never" : "always");
  const replaceSpaces: Step = (piece, isFirst, parts) => {
    const replaced = piece.replaceAll(" ", replacement);
    const isPrepended = scheme === "always" || (scheme === "first" && isFirst);
    parts.push(
      isPrepended && !replaced.startsWith(replacement) ? replacement + replaced : replaced,
    );
  };
  if (config.split === false) return [replaceSpaces];
  return [
    replaceSpaces,
    splitStep({ pattern: { String: replacement }, behavior: "MergedWithNext" }, false),
  ];
}
