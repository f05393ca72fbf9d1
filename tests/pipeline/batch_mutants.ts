/** Batches as an attacker might send them. */
import fc from "fast-check";
import { type Batch, BLOCK_SIZE, numBatchTokens } from "../../src/core.ts";
import { BatchDecoder } from "../../src/pipeline/batch_decoder.ts";
import { BatchEncoder } from "../../src/pipeline/batch_encoder.ts";
import { WireError } from "../../src/pipeline/wire_reader.ts";
import type { StageLimits } from "../../src/stage/stage_limits.ts";
import { Random } from "../kernels/random.ts";
import { scheduledRun } from "./scheduled_batches.ts";

/** What became of the mutants. */
export interface MutantOutcome {
  readonly numRefused: number;
  /** The mutation made another batch, within the limits. */
  readonly numTaken: number;
  /** Batches that were taken beyond the limits. */
  readonly numOversized: number;
  /** Errors that are no WireError. */
  readonly numUnexpected: number;
}

const MUTANTS_OF_A_BATCH = 20;

/** Decodes `numMutants` damaged payloads, each after sound ones. The same seed gives the same. */
export function decodeMutants(numMutants: number, seed = 1): MutantOutcome {
  const runs = fc.sample(scheduledRun, { numRuns: 60, seed })
    .filter(({ batches }) => batches.length > 2);
  const random = new Random(seed);
  const outcome = { numRefused: 0, numTaken: 0, numOversized: 0, numUnexpected: 0 };
  for (let i = 0; i < numMutants; i += MUTANTS_OF_A_BATCH) {
    const { batches, limits } = runs[random.below(runs.length)]!;
    const last = random.below(Math.min(batches.length, 12));
    const encoder = new BatchEncoder();
    const metas = batches.slice(0, last + 1).map((batch) => encoder.encode(batch));
    const decoder = new BatchDecoder(limits);
    const tokenIds = null;
    for (const meta of metas.slice(0, last)) decoder.decode({ stepId: 0, meta, tokenIds });
    for (let j = 0; j < MUTANTS_OF_A_BATCH; j++) {
      const meta = mutate(metas[last]!, random);
      try {
        const batch = decoder.decode({ stepId: 0, meta, tokenIds });
        if (isWithin(batch, limits)) outcome.numTaken++;
        else outcome.numOversized++;
      } catch (error) {
        if (error instanceof WireError) outcome.numRefused++;
        else outcome.numUnexpected++;
      }
    }
  }
  return outcome;
}

/** Numbers that break sums, products and allocations. */
const EVIL = [0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff, 0x40000000, 4096, 65_536];

function mutate(sound: Uint8Array, random: Random): Uint8Array {
  const bytes = sound.slice();
  const view = new DataView(bytes.buffer);
  for (let n = 1 + random.below(3); n > 0; n--) {
    const word = 4 * random.below(bytes.length >> 2);
    switch (random.below(5)) {
      case 0:
        view.setUint32(word, EVIL[random.below(EVIL.length)]!, true);
        break;
      case 1:
        bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
        break;
      case 2:
        view.setUint32(word, random.below(64), true);
        break;
      case 3:
        return bytes.subarray(0, random.below(bytes.length));
      default:
        return Uint8Array.from([...bytes, ...random.bytes(1 + random.below(16))]);
    }
  }
  return bytes;
}

function isWithin(batch: Batch, limits: StageLimits): boolean {
  const maxBlocks = Math.ceil(limits.maxModelLength / BLOCK_SIZE);
  const { numBlocks, numSavedStates } = limits;
  return batch.slices.length <= limits.maxSequences &&
    numBatchTokens(batch) <= limits.maxBatchTokens &&
    new Set(batch.slices.map(({ slot }) => slot)).size === batch.slices.length &&
    batch.slices.every(({ slot, blockTable, startPosition, tokenIds, sample, ...rest }) =>
      slot < limits.maxSequences &&
      blockTable.length <= maxBlocks &&
      blockTable.every((block) => block < numBlocks) &&
      startPosition + tokenIds.length <= limits.maxModelLength &&
      (rest.takesDrawn !== true || tokenIds.length === 1) &&
      (rest.blockCopy?.from ?? 0) < numBlocks &&
      (rest.blockCopy === undefined || blockTable.includes(rest.blockCopy.to)) &&
      (rest.stateMoves?.restoreFrom ?? -1) < numSavedStates &&
      (rest.stateMoves?.saveTo ?? -1) < numSavedStates &&
      (sample?.penalties?.tokenIds.length ?? 0) <= limits.maxModelLength
    );
}
