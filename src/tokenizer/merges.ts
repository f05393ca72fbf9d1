import { MergeTable } from "./merge_table.ts";
import { TokenizerError } from "./tokenizer.ts";

/** A vocabulary in both directions. */
export interface Vocabulary {
  readonly tokens: readonly (string | undefined)[];
  readonly ids: ReadonlyMap<string, number>;
}

/** Reads merges as files list them, most urgent first: "a b", or a pair of strings. */
export function readMerges(
  merges: readonly unknown[],
  { tokens, ids }: Vocabulary,
): MergeTable {
  const table = new MergeTable(merges.length);
  let mergedId: number | undefined = -1;
  for (let rank = 0; rank < merges.length; rank++) {
    const pair = readPair(merges[rank]);
    const left = pair[0], right = pair[1];
    const leftId = ids.get(left), rightId = ids.get(right);
    mergedId = guessMerged(left, right, { tokens, after: mergedId }) ?? ids.get(left + right);
    if (leftId === undefined || rightId === undefined || mergedId === undefined) {
      throw new TokenizerError(
        `Tokenizer file is damaged: merge ${rank} of "${left}" and "${right}" is not in the vocabulary`,
      );
    }
    table.set(leftId, rightId, { rank, mergedId });
  }
  return table;
}

/** Merges mostly come in the order of their ids; comparing is much faster than looking up. */
function guessMerged(
  left: string,
  right: string,
  { tokens, after }: { tokens: readonly (string | undefined)[]; after: number },
): number | undefined {
  for (let id = after; id <= after + 1; id++) {
    const token = tokens[id];
    if (token?.length !== left.length + right.length) continue;
    if (token.startsWith(left) && token.endsWith(right)) return id;
  }
  return undefined;
}

function readPair(merge: unknown): [string, string] {
  if (typeof merge === "string") {
    // A space is never part of a token in this form, but it may be its first character.
    const space = merge.indexOf(" ", 1);
    if (space > 0) return [merge.slice(0, space), merge.slice(space + 1)];
  } else if (Array.isArray(merge) && typeof merge[0] === "string" && typeof merge[1] === "string") {
    return [merge[0], merge[1]];
  }
  throw new TokenizerError(
    `Tokenizer file is damaged: merge ${JSON.stringify(merge)} is not a pair`,
  );
}

/** SentencePiece BPE: no list of merges, but a score for every piece. */
export interface ScoredMerges {
  readonly table: MergeTable;
  /** Symbol of each code point that occurs in a piece. */
  readonly symbols: ReadonlyMap<number, number>;
  /** Characters that occur in pieces without being one, by symbol. */
  readonly loneCharacters: ReadonlyMap<number, string>;
}

/**
 * Turns scored pieces into a merge table. SentencePiece joins any two neighbours that together
 * are a piece, the highest score first, leftmost on a tie; so every way to cut a piece in two is a
 * merge, and pieces of equal score share a rank.
 *
 * Source: https://github.com/google/sentencepiece/blob/master/src/bpe_model.cc
 */
export function mergesFromScores(
  pieces: ReadonlyMap<string, number>,
  scores: ArrayLike<number>,
  numTokens: number,
): ScoredMerges {
  const symbols = new Map<number, number>();
  const loneCharacters = new Map<number, string>();
  const flat: number[] = [];
  const ranks = rankScores(pieces.values(), scores);
  function symbolOf(part: string): number | undefined {
    const id = pieces.get(part);
    const codePoint = part.codePointAt(0)!;
    if (id !== undefined || String.fromCodePoint(codePoint) !== part) return id;
    let symbol = symbols.get(codePoint);
    if (symbol === undefined) {
      symbol = numTokens + loneCharacters.size;
      loneCharacters.set(symbol, part);
      symbols.set(codePoint, symbol);
    }
    return symbol;
  }
  for (const [piece, id] of pieces) {
    const first = piece.codePointAt(0);
    if (first === undefined) continue;
    const firstEnd = first > 0xffff ? 2 : 1;
    if (piece.length === firstEnd) symbols.set(first, id);
    for (let at = firstEnd; at < piece.length; at++) {
      if (isInsidePair(piece, at)) continue;
      const left = symbolOf(piece.slice(0, at));
      const right = symbolOf(piece.slice(at));
      if (left === undefined || right === undefined) continue;
      flat.push(left, right, ranks.get(scores[id]!)!, id);
    }
  }
  const table = new MergeTable(flat.length / 4);
  for (let i = 0; i < flat.length; i += 4) {
    table.set(flat[i]!, flat[i + 1]!, { rank: flat[i + 2]!, mergedId: flat[i + 3]! });
  }
  return { table, symbols, loneCharacters };
}

function rankScores(ids: Iterable<number>, scores: ArrayLike<number>): Map<number, number> {
  const distinct = new Set<number>();
  for (const id of ids) distinct.add(scores[id]!);
  return new Map([...distinct].sort((a, b) => b - a).map((score, rank) => [score, rank]));
}

function isInsidePair(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  return unit >= 0xdc00 && unit < 0xe000;
}
