/**
 * Arrays that may leave a thread. Cloning a view clones all of its buffer, and transferring it takes
 * the buffer away from whoever holds another view.
 *
 * @module
 */
import type { Batch, BatchSlice } from "../../src/core.ts";
import type { StageOutput } from "../../src/stage/stage.ts";

/** The array itself when it fills its buffer, else a copy that does. */
export function filling<T extends Uint8Array | Uint32Array | Float32Array>(array: T): T {
  return array.byteLength === array.buffer.byteLength ? array : array.slice() as T;
}

/** The batch with every array filling its buffer. */
export function fillingBatch(batch: Batch): Batch {
  return { ...batch, slices: batch.slices.map(fillingSlice) };
}

/** What to transfer when the output is posted, and the output with arrays that fill their buffers. */
export function transferableOutput(
  output: StageOutput,
): { readonly output: StageOutput; readonly transfer: Transferable[] } {
  if (output.type === "hidden") {
    const values = filling(output.values);
    return { output: { ...output, values }, transfer: [values.buffer as ArrayBuffer] };
  }
  const tokens = output.tokens.map((token) =>
    token.logits === undefined ? token : { ...token, logits: filling(token.logits) }
  );
  const buffers = tokens.flatMap(({ logits }) => logits?.buffer as ArrayBuffer | undefined ?? []);
  return { output: { ...output, tokens }, transfer: [...new Set(buffers)] };
}

function fillingSlice(slice: BatchSlice): BatchSlice {
  const penalties = slice.sample?.penalties;
  return {
    ...slice,
    tokenIds: filling(slice.tokenIds),
    blockTable: filling(slice.blockTable),
    ...(slice.sample !== undefined && penalties !== undefined && {
      sample: {
        ...slice.sample,
        penalties: {
          ...penalties,
          tokenIds: filling(penalties.tokenIds),
          outputCounts: filling(penalties.outputCounts),
        },
      },
    }),
  };
}
