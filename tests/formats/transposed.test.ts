import { expect, test } from "vitest";
import { transposed } from "../../src/formats/transposed.ts";

test.each([[1, 1], [3, 5], [64, 65], [130, 7]])(
  "transposed() makes [%i, %i] of columns, of 2 and 4 bytes, wherever the bytes begin",
  (numRows, numCols) => {
    for (const elementBytes of [2, 4]) {
      const Elements = elementBytes === 2 ? Uint16Array : Uint32Array;
      const at = (row: number, col: number) => row * 100 + col;
      const columns = new Elements(numRows * numCols);
      for (let col = 0; col < numCols; col++) {
        for (let row = 0; row < numRows; row++) columns[col * numRows + row] = at(row, col);
      }
      const shifted = new Uint8Array(columns.byteLength + 1);
      shifted.set(new Uint8Array(columns.buffer), 1);
      const bytes = transposed(shifted.subarray(1), { numRows, numCols });
      const rows = new Elements(bytes.buffer as ArrayBuffer);
      expect(rows.length).toBe(numRows * numCols);
      rows.forEach((value, i) => expect(value).toBe(at(Math.floor(i / numCols), i % numCols)));
    }
  },
);

test("transposed() refuses elements that are no whole numbers", () => {
  expect(() => transposed(new Uint8Array(6), { numRows: 2, numCols: 3 }))
    .toThrow("Elements of 1 bytes cannot be transposed");
});
