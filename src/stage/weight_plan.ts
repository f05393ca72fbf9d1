import type { WeightFormat } from "../core.ts";
import { planeBytes, WEIGHT_FORMATS } from "../formats/weight_format.ts";
import type { TensorEntry } from "../formats/tensor_entry.ts";

/** Rows [startRow, endRow) of a tensor in a file. */
export interface RowRange {
  readonly tensor: TensorEntry;
  readonly startRow: number;
  readonly endRow: number;
}

/** One GPU buffer to be: rows of one format, from one or more tensors. */
export interface PartPlan {
  readonly format: WeightFormat;
  readonly startRow: number;
  readonly numRows: number;
  /** Bytes of each plane. */
  readonly planes: readonly number[];
  readonly ranges: readonly RowRange[];
}

/**
 * Lays tensors [rows, numCols] under each other. Neighbours of one format share a buffer, and no
 * buffer passes `maxBytes`. Throws a RangeError when the tensors do not fit together.
 */
export function planParts(
  tensors: readonly TensorEntry[],
  { maxBytes }: { readonly maxBytes: number },
): { readonly numRows: number; readonly numCols: number; readonly parts: PartPlan[] } {
  const numCols = tensors[0]?.shape[1] ?? 0;
  const parts: PartPlan[] = [];
  let startRow = 0;
  for (const range of tensors.flatMap((tensor) => rowRanges(tensor, numCols, maxBytes))) {
    const last = parts.at(-1);
    const joined = last && join(last, range, numCols);
    if (joined && sum(joined.planes) <= maxBytes) parts[parts.length - 1] = joined;
    else parts.push(partOf(range, startRow, numCols));
    startRow += range.endRow - range.startRow;
  }
  return { numRows: startRow, numCols, parts };
}

/** Rows of a tensor that can be read at once: a chunk's planes concatenate to the tensor's. */
export function chunkRows(format: WeightFormat, numCols: number, maxBytes: number): number {
  const { blockSize, blockBytes } = WEIGHT_FORMATS[format];
  const rowBytes = numCols / blockSize * blockBytes;
  // Even counts keep pairs of two-byte scales in one word.
  return Math.max(2, 2 * Math.floor(maxBytes / rowBytes / 2));
}

function rowRanges(tensor: TensorEntry, numCols: number, maxBytes: number): RowRange[] {
  const [numRows = 0, cols] = tensor.shape;
  if (tensor.shape.length !== 2 || cols !== numCols) {
    throw new RangeError(
      `Tensor "${tensor.name}" has shape [${tensor.shape}], expected [rows, ${numCols}]`,
    );
  }
  if (numCols % WEIGHT_FORMATS[tensor.format].blockSize !== 0) {
    throw new RangeError(
      `Tensor "${tensor.name}" has rows of ${numCols}, no whole "${tensor.format}" blocks`,
    );
  }
  const bytesPerPair = sum(planeBytes(tensor.format, 2, numCols));
  const step = 2 * Math.floor(maxBytes / bytesPerPair);
  if (step === 0) {
    throw new RangeError(`A row of "${tensor.name}" exceeds the adapter's largest binding`);
  }
  return Array.from({ length: Math.ceil(numRows / step) }, (_, i) => ({
    tensor,
    startRow: i * step,
    endRow: Math.min(numRows, (i + 1) * step),
  }));
}

function partOf(range: RowRange, startRow: number, numCols: number): PartPlan {
  const numRows = range.endRow - range.startRow;
  const { format } = range.tensor;
  return {
    format,
    startRow,
    numRows,
    planes: planeBytes(format, numRows, numCols),
    ranges: [range],
  };
}

/** The part with `range` below it, or null when they cannot share a buffer. */
function join(part: PartPlan, range: RowRange, numCols: number): PartPlan | null {
  const numBlocks = part.numRows * numCols / WEIGHT_FORMATS[part.format].blockSize;
  if (part.format !== range.tensor.format || numBlocks % 2 !== 0) return null;
  const numRows = part.numRows + range.endRow - range.startRow;
  return {
    ...part,
    numRows,
    planes: planeBytes(part.format, numRows, numCols),
    ranges: [...part.ranges, range],
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
