import type { Answer } from "./completion_client.ts";
import { percentile } from "./percentile.ts";

/** A stretch of the client's time that counts: (startMs, endMs]. */
export interface Window {
  readonly startMs: number;
  readonly endMs: number;
}

/** What users saw within a window. */
export interface LevelStatistics {
  /** Answers that ended well in it. */
  readonly numDone: number;
  /** Answers that failed, in it or outside: none should. */
  readonly numFailed: number;
  /** From sending a request to its first token, where that one is in the window. */
  readonly ttftMs: Spread;
  /** Between two tokens of an answer, both in the window. */
  readonly interTokenMs: Spread;
  /** Of all answers together, whether they ended or not. */
  readonly tokensPerS: number;
  /** As the server counts tokens, over the pieces that came: 1 where each token has a text. */
  readonly tokensPerPiece: number;
}

/** Half of the values are no larger than p50, 99 % no larger than p99; NaN of nothing. */
export interface Spread {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** What happened in the window; what came before or after it is left out. */
export function levelStatistics(answers: readonly Answer[], window: Window): LevelStatistics {
  const isIn = (ms: number) => ms > window.startMs && ms <= window.endMs;
  const firsts = answers.filter(({ tokenMs: [firstMs] }) => firstMs !== undefined && isIn(firstMs));
  const tokensPerPiece = piecesToTokens(answers);
  const numPieces = answers.reduce((sum, { tokenMs }) => sum + tokenMs.filter(isIn).length, 0);
  return {
    numDone: answers.filter(({ outcome, endMs }) => outcome === "done" && isIn(endMs)).length,
    numFailed: answers.filter(({ outcome }) => outcome === "failed").length,
    ttftMs: spreadOf(firsts.map(ttftMs)),
    interTokenMs: spreadOf(interTokenMs(answers, window)),
    tokensPerS: numPieces * tokensPerPiece / (window.endMs - window.startMs) * 1000,
    tokensPerPiece,
  };
}

/** From sending to the first token; NaN where none came. */
export function ttftMs({ sentMs, tokenMs }: Answer): number {
  return (tokenMs[0] ?? NaN) - sentMs;
}

/** Times between tokens of the same answer that are both in the window, over all answers. */
export function interTokenMs(answers: readonly Answer[], { startMs, endMs }: Window): number[] {
  return pausesOf(answers).flatMap(({ fromMs, toMs }) =>
    fromMs > startMs && toMs <= endMs ? [toMs - fromMs] : []
  );
}

/** The same where any of the time between the tokens is in the window. */
export function overlappingInterTokenMs(
  answers: readonly Answer[],
  { startMs, endMs }: Window,
): number[] {
  return pausesOf(answers).flatMap(({ fromMs, toMs }) =>
    fromMs < endMs && toMs > startMs ? [toMs - fromMs] : []
  );
}

/** From each token to the next one of the same answer. */
function pausesOf(answers: readonly Answer[]) {
  return answers.flatMap(({ tokenMs }) =>
    tokenMs.slice(1).map((toMs, i) => ({ fromMs: tokenMs[i]!, toMs }))
  );
}

export function spreadOf(values: readonly number[]): Spread {
  return {
    p50: percentile(values, 50),
    p99: percentile(values, 99),
    max: percentile(values, 100),
  };
}

function piecesToTokens(answers: readonly Answer[]): number {
  const counted = answers.filter(({ outcome, usage }) => outcome === "done" && usage !== null);
  const numPieces = counted.reduce((sum, { tokenMs }) => sum + tokenMs.length, 0);
  const numTokens = counted.reduce((sum, { usage }) => sum + usage!.completionTokens, 0);
  return numPieces === 0 ? 1 : numTokens / numPieces;
}
