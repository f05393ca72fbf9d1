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

/** What a device and a matrix ask of its parts. */
export interface PartLimits {
  readonly maxBytes: number;
  /** Tensors of so many rows together are never divided, and are of one format. */
  readonly groupRows?: number | undefined;
  /** A tensor is so many matrices, each transposed, which are never divided. */
  readonly numTransposed?: number | undefined;
}

const SMALLER_WEIGHTS = "use a model in a smaller format, or an adapter that binds more";

/**
 * Lays tensors [rows, numCols] under each other. Neighbours of one format share a buffer, and no
 * buffer passes `maxBytes`. Throws a RangeError when the tensors do not fit together.
 */
export function planParts(
  tensors: readonly TensorEntry[],
  { maxBytes, groupRows, numTransposed }: PartLimits,
): { readonly numRows: number; readonly numCols: number; readonly parts: PartPlan[] } {
  const numCols = tensors[0]?.shape[1] ?? 0;
  const ranges = tensors.flatMap((tensor) =>
    numTransposed === undefined
      ? rowRanges(tensor, numCols, maxBytes)
      : transposedRanges(tensor, numTransposed)
  );
  const pieces = groupRows === undefined
    ? ranges.map((range) => partOf(range, 0, numCols))
    : groupRanges(ranges, groupRows, numCols);
  const parts: PartPlan[] = [];
  let startRow = 0;
  for (const piece of pieces) {
    const last = parts.at(-1);
    const joined = last && join(last, piece, numCols);
    if (joined && sum(joined.planes) <= maxBytes) parts[parts.length - 1] = joined;
    else if (sum(piece.planes) <= maxBytes) parts.push({ ...piece, startRow });
    else {
      const names = piece.ranges.map(({ tensor }) => tensor.name).join('", "');
      throw new RangeError(
        `Tensors "${names}" exceed the adapter's largest binding: ${SMALLER_WEIGHTS}`,
      );
    }
    startRow += piece.numRows;
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
    throw new RangeError(
      `A row of "${tensor.name}" exceeds the adapter's largest binding: ${SMALLER_WEIGHTS}`,
    );
  }
  return Array.from({ length: Math.ceil(numRows / step) }, (_, i) => ({
    tensor,
    startRow: i * step,
    endRow: Math.min(numRows, (i + 1) * step),
  }));
}

/** The rows of each matrix of [numMatrices, cols, rows]. */
function transposedRanges(tensor: TensorEntry, numMatrices: number): RowRange[] {
  const [count, _, numRows = 0] = tensor.shape;
  if (tensor.shape.length !== 3 || count !== numMatrices) {
    throw new RangeError(
      `Tensor "${tensor.name}" has shape [${tensor.shape}], expected ${numMatrices} matrices`,
    );
  }
  if (WEIGHT_FORMATS[tensor.format].blockSize !== 1) {
    throw new RangeError(
      `Tensor "${tensor.name}" is "${tensor.format}", whose blocks cannot be transposed`,
    );
  }
  return Array.from({ length: numMatrices }, (_, matrix) => ({
    tensor,
    startRow: matrix * numRows,
    endRow: (matrix + 1) * numRows,
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

/** Joins ranges to pieces of `groupRows` rows. */
function groupRanges(ranges: readonly RowRange[], groupRows: number, numCols: number): PartPlan[] {
  const groups: PartPlan[] = [];
  let group: PartPlan | null = null;
  for (const range of ranges) {
    const piece = partOf(range, 0, numCols);
    const joined: PartPlan | null = group ? join(group, piece, numCols) : piece;
    if (joined === null || joined.numRows > groupRows) {
      throw new RangeError(
        `Tensor "${range.tensor.name}" does not lie under the one before it: they need one ` +
          `format, and ${groupRows} rows together`,
      );
    }
    const isWhole: boolean = joined.numRows === groupRows;
    if (isWhole) groups.push(joined);
    group = isWhole ? null : joined;
  }
  if (group === null) return groups;
  throw new RangeError(`Tensor "${group.ranges.at(-1)?.tensor.name}" ends within a group of rows`);
}

/** The part with `below` under it, or null when they cannot share a buffer. */
function join(part: PartPlan, below: PartPlan, numCols: number): PartPlan | null {
  const numBlocks = part.numRows * numCols / WEIGHT_FORMATS[part.format].blockSize;
  if (part.format !== below.format || numBlocks % 2 !== 0) return null;
  const numRows = part.numRows + below.numRows;
  return {
    ...part,
    numRows,
    planes: planeBytes(part.format, numRows, numCols),
    ranges: [...part.ranges, ...below.ranges],
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
