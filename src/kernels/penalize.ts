import source from "../../shaders/penalize.wgsl" with { type: "text" };
import type { SampleRequest } from "../core.ts";
import type { Dispatch } from "../gpu/dispatch.ts";
import type { KernelContext } from "./context.ts";

/** Operands of `penalize`. */
export interface PenalizeCall {
  /** `PackedPenalties.rows`: [numSamples] rows in the order of the logits. */
  readonly rows: GPUBuffer;
  /** `PackedPenalties.entries`, of all rows. */
  readonly entries: GPUBuffer;
  /** f32 [numSamples, vocabSize], changed in place. */
  readonly logits: GPUBuffer;
  readonly vocabSize: number;
  readonly numSamples: number;
}

/** The penalties of a batch as the shader reads them. */
export interface PackedPenalties {
  /** PENALTY_ROW_BYTES for each request. */
  readonly rows: ArrayBuffer;
  /** PENALTY_ENTRY_BYTES for each distinct token of each request: (token id, output count). */
  readonly entries: Uint32Array<ArrayBuffer>;
}

/** Bytes of one row: struct PenaltyRow of shaders/penalize.wgsl. */
export const PENALTY_ROW_BYTES = 20;

/** Bytes of one token of one row. */
export const PENALTY_ENTRY_BYTES = 8;

/**
 * Penalises tokens that a sequence has seen: repetition as Hugging Face and vLLM define it, then
 * frequency and presence as OpenAI defines them. Needed only when `packPenalties` is not null.
 */
export function penalize(kernels: KernelContext, call: PenalizeCall): Dispatch[] {
  if (call.numSamples === 0) return [];
  const program = kernels.programs.get({ name: "penalize", source }, {
    VOCAB: call.vocabSize,
  });
  return [{
    program,
    bindings: [kernels.step, call.rows, call.entries, call.logits],
    workgroups: [call.numSamples, 1, 1],
  }];
}

/**
 * The tables of a batch, in the order of `requests`; null when there is no token to penalise.
 * Token ids of a request must be distinct. Throws a RangeError on a repetition penalty of 0 or less.
 */
export function packPenalties(requests: readonly SampleRequest[]): PackedPenalties | null {
  const numEntries = requests.reduce((sum, r) => sum + (r.penalties?.tokenIds.length ?? 0), 0);
  if (numEntries === 0) return null;
  const rows = new ArrayBuffer(requests.length * PENALTY_ROW_BYTES);
  const view = new DataView(rows);
  const entries = new Uint32Array(2 * numEntries);
  let numWritten = 0;
  requests.forEach(({ penalties }, row) => {
    const start = numWritten;
    penalties?.tokenIds.forEach((tokenId, i) => {
      entries[2 * numWritten] = tokenId;
      entries[2 * numWritten + 1] = penalties.outputCounts[i] ?? 0;
      numWritten += 1;
    });
    const { presence, frequency, repetition } = penalties ?? NO_PENALTY;
    if (!(repetition > 0)) {
      throw new RangeError(`Repetition penalty is ${repetition}: use a number above 0, 1 is off`);
    }
    const at = row * PENALTY_ROW_BYTES;
    view.setUint32(at, start, true);
    view.setUint32(at + 4, numWritten, true);
    view.setFloat32(at + 8, presence, true);
    view.setFloat32(at + 12, frequency, true);
    view.setFloat32(at + 16, repetition, true);
  });
  return { rows, entries };
}

const NO_PENALTY = { presence: 0, frequency: 0, repetition: 1 } as const;
