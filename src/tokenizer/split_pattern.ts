import { SplitPreTokenizer } from "@huggingface/tokenizers";
import { TokenizerError } from "./tokenizer.ts";

/** What becomes of the parts of a text that a pattern matches. */
export type SplitBehavior =
  | "Removed"
  | "Isolated"
  | "Contiguous"
  | "MergedWithPrevious"
  | "MergedWithNext";

/** A pattern as tokenizer.json writes it: an Oniguruma expression or a plain string. */
export type SplitPattern = { readonly Regex: string } | { readonly String: string };

/** One way of cutting text, as the Rust tokenizers' `Split` does it. */
export interface Split {
  readonly pattern: SplitPattern;
  readonly behavior: SplitBehavior;
  /** What the pattern does not match counts as matched, and the other way round. */
  readonly isInverted?: boolean;
}

/** Compiles a split into a function that appends the parts of a text, none of them empty. */
export function compileSplit(split: Split): (text: string, parts: string[]) => void {
  const expression = compilePattern(split.pattern);
  const { behavior, isInverted = false } = split;
  return (text, parts) => {
    // When everything matches, as it does with the usual patterns, the matches are the parts.
    if (behavior === "Isolated" || (behavior === "Removed" && isInverted)) {
      const matches = text.match(expression) ?? [];
      if (behavior === "Removed" || covers(matches, text)) {
        for (const match of matches) if (match !== "") parts.push(match);
        return;
      }
    }
    for (const [start, end] of cut(spans(text, expression, isInverted), behavior)) {
      if (end > start) parts.push(text.slice(start, end));
    }
  };
}

function compilePattern(pattern: SplitPattern): RegExp {
  const source = "Regex" in pattern ? { Regex: foldBeyondAscii(pattern.Regex) } : pattern;
  try {
    // The library translates Oniguruma's syntax; only its pattern is used.
    const compiled = new SplitPreTokenizer({
      type: "Split",
      pattern: source,
      behavior: "Isolated",
      invert: true,
    });
    if (compiled.pattern !== null) return compiled.pattern;
  } catch {
    // Falls through to the error below.
  }
  throw new TokenizerError(
    `Pre-tokenizer pattern ${JSON.stringify(pattern)} cannot be used: use another tokenizer file`,
  );
}

/**
 * Inside `(?i:...)` Oniguruma also matches the non-ASCII letters that fold to ASCII ones: "ſ" for
 * "s" and the Kelvin sign for "k". The library folds ASCII only.
 */
function foldBeyondAscii(source: string): string {
  return source.replace(/\(\?i:((?:[^()\\]|\\.)*)\)/g, (_, body: string) => {
    let isInClass = false;
    const folded = body.replace(/\\.|[[\]sSkK]/gs, (part) => {
      if (part === "[" || part === "]") isInClass = part === "[";
      const folds = { s: "sſ", S: "Sſ", k: "k\u212a", K: "K\u212a" }[part];
      if (folds === undefined) return part;
      return isInClass ? folds : `[${folds}]`;
    });
    return `(?i:${folded})`;
  });
}

function covers(matches: readonly string[], text: string): boolean {
  let length = 0;
  for (const match of matches) length += match.length;
  return length === text.length;
}

interface Span {
  readonly start: number;
  readonly end: number;
  readonly isMatch: boolean;
}

/** The whole text as matched and unmatched spans, in order. */
function spans(text: string, expression: RegExp, isInverted: boolean): Span[] {
  const found: Span[] = [];
  let end = 0;
  for (const match of text.matchAll(expression)) {
    if (match.index > end) found.push({ start: end, end: match.index, isMatch: isInverted });
    end = match.index + match[0].length;
    found.push({ start: match.index, end, isMatch: !isInverted });
  }
  if (end < text.length) found.push({ start: end, end: text.length, isMatch: isInverted });
  return found;
}

function cut(spans: readonly Span[], behavior: SplitBehavior): [number, number][] {
  const parts: [number, number][] = [];
  let wasMatch: boolean | null = null;
  switch (behavior) {
    case "Removed":
      return spans.filter(({ isMatch }) => !isMatch).map(({ start, end }) => [start, end]);
    case "Isolated":
      return spans.map(({ start, end }) => [start, end]);
    case "Contiguous":
      for (const { start, end, isMatch } of spans) {
        const last = parts.at(-1);
        if (last !== undefined && isMatch === wasMatch) last[1] = end;
        else parts.push([start, end]);
        wasMatch = isMatch;
      }
      return parts;
    case "MergedWithPrevious":
      for (const { start, end, isMatch } of spans) {
        const last = parts.at(-1);
        if (last !== undefined && isMatch && wasMatch !== true) last[1] = end;
        else parts.push([start, end]);
        wasMatch = isMatch;
      }
      return parts;
    case "MergedWithNext":
      for (const { start, end, isMatch } of spans.toReversed()) {
        const last = parts.at(-1);
        if (last !== undefined && isMatch && wasMatch !== true) last[0] = start;
        else parts.push([start, end]);
        wasMatch = isMatch;
      }
      return parts.reverse();
    default:
      behavior satisfies never;
      throw new TokenizerError(`Split behavior "${behavior}" is not supported`);
  }
}
