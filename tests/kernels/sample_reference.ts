/**
 * What penalize and sample must compute, in f64 and by sorting.
 *
 * @module
 */
import type { PenaltyRequest, SampleRequest } from "../../src/core.ts";

/** `logits` after the penalties: repetition, then frequency and presence. */
export function penalized(logits: Float32Array, penalties: PenaltyRequest): Float64Array {
  const output = Float64Array.from(logits);
  penalties.tokenIds.forEach((tokenId, i) => {
    const count = penalties.outputCounts[i]!;
    let logit = output[tokenId]!;
    logit = logit > 0 ? logit / penalties.repetition : logit * penalties.repetition;
    output[tokenId] = logit - penalties.frequency * count - (count > 0 ? penalties.presence : 0);
  });
  return output;
}

/** A token that may be drawn, with the softmax of logit / temperature over all survivors. */
export interface Survivor {
  readonly tokenId: number;
  readonly logit: number;
  readonly probability: number;
}

/** What top-k, then top-p, then min-p leave, highest logit first, lowest id first on ties. */
export function survivorsOf(logits: Float32Array, request: SampleRequest): Survivor[] {
  return warp(sortedNumbers(logits), request);
}

function sortedNumbers(logits: Float32Array): Survivor[] {
  const ids = Uint32Array.from(logits.keys()).filter((id) => logits[id]! > -Infinity);
  ids.sort((a, b) => logits[b]! - logits[a]! || a - b);
  return Array.from(ids, (tokenId) => ({
    tokenId,
    logit: Math.min(logits[tokenId]!, 2 ** 126),
    probability: 0,
  }));
}

function warp(sorted: readonly Survivor[], request: SampleRequest): Survivor[] {
  const { topK, topP, minP } = request;
  let kept = softmax(sorted, request);
  if (topK > 0 && topK < kept.length) {
    const last = kept[topK - 1]!.logit;
    kept = softmax(kept.filter(({ logit }) => logit >= last), request);
  }
  if (topP < 1 && kept.length > 0) {
    let count = 0;
    for (let reached = 0; count < kept.length && (count === 0 || reached < topP); count++) {
      reached += kept[count]!.probability;
    }
    const last = kept[count - 1]!.logit;
    kept = softmax(kept.filter(({ logit }) => logit >= last), request);
  }
  const least = minP * (kept[0]?.probability ?? 0);
  return softmax(kept.filter(({ probability }) => probability >= least), request);
}

function softmax(sorted: readonly Survivor[], request: SampleRequest): Survivor[] {
  const highest = sorted[0]?.logit ?? 0;
  const weights = sorted.map(({ logit }) => Math.exp((logit - highest) / request.temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return sorted.map((survivor, i) => ({ ...survivor, probability: weights[i]! / total }));
}

/** A draw, and whether another one would also be right within f32's errors. */
export interface ReferenceDraw {
  readonly tokenId: number;
  readonly isClear: boolean;
}

/** The draw that the sampler must make; `isClear` is false at near-ties and set boundaries. */
export function referenceDraw(logits: Float32Array, request: SampleRequest): ReferenceDraw {
  if (request.temperature === 0) return { tokenId: highestId(logits), isClear: true };
  const sorted = sortedNumbers(logits);
  const [exact, tight, loose] = [0, -TOLERANCE, TOLERANCE].map((slack) =>
    noisyArgmax(
      warp(sorted, {
        ...request,
        topP: request.topP < 1 ? Math.max(0, request.topP + slack) : request.topP,
        minP: Math.min(1, request.minP * (1 - slack)),
      }),
      request,
    )
  );
  return {
    tokenId: exact!.tokenId,
    isClear: tight!.tokenId === exact!.tokenId && loose!.tokenId === exact!.tokenId &&
      Math.min(exact!.margin, loose!.margin) > 100 * TOLERANCE,
  };
}

/** Allowed error of a cumulative probability; scores may be wrong by 100 times as much. */
const TOLERANCE = 2e-6;

function highestId(logits: Float32Array): number {
  let best = 0;
  logits.forEach((logit, tokenId) => {
    if (logit > logits[best]! || Number.isNaN(logits[best])) best = tokenId;
  });
  return Number.isNaN(logits[best]) ? 0 : best;
}

function noisyArgmax(survivors: readonly Survivor[], request: SampleRequest) {
  const highest = survivors[0]?.logit ?? 0;
  let best = { tokenId: 0, score: -Infinity };
  let margin = Infinity;
  for (const { tokenId, logit } of survivors) {
    const scaled = (logit - highest) / request.temperature;
    if (scaled < -40) continue;
    const score = scaled + gumbel(philox2x32([tokenId, request.tokenIndex], request.seed)[0]);
    margin = Math.min(margin, Math.abs(score - best.score));
    if (score > best.score) {
      margin = score - best.score;
      best = { tokenId, score };
    }
  }
  return { tokenId: best.tokenId, margin };
}

/** Gumbel noise of 32 random bits taken as (bits + 0.5) / 2^32. */
function gumbel(bits: number): number {
  return -Math.log(-Math.log1p(-(bits + 0.5) / 2 ** 32));
}

/** Philox2x32-10 (Salmon et al., SC 2011). */
export function philox2x32(
  counter: readonly [number, number],
  key: number,
): readonly [number, number] {
  let [left, right] = counter;
  for (let round = 0; round < 10; round++) {
    // Products of 16 by 32 bits are exact in f64.
    const high = Math.floor(
      ((left >>> 16) * MULTIPLIER + Math.floor((left & 0xffff) * MULTIPLIER / 65536)) / 65536,
    );
    [left, right] = [(high ^ key ^ right) >>> 0, Math.imul(left, MULTIPLIER) >>> 0];
    key = (key + 0x9e3779b9) >>> 0;
  }
  return [left, right];
}

const MULTIPLIER = 0xd256d193;
