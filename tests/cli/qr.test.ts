import { encode } from "uqr";
import { expect, test } from "vitest";
import { terminalQr } from "../../src/cli/qr.ts";

const link = `https://192.168.1.20:8420/#v1.${"r".repeat(22)}.${"s".repeat(22)}`;

test("a terminal's QR code has the modules of the link, two rows to a line", () => {
  const text = terminalQr(link, { columns: 80, hasColor: false });
  const { data, size } = encode(link, { border: 2 });
  const lines = text?.split("\n") ?? [];
  expect(lines).toHaveLength(Math.ceil(size / 2));
  const isLight = (row: number, column: number) => {
    const block = [...lines[row >> 1] ?? ""][column] ?? "";
    return (row % 2 === 0 ? "█▀" : "█▄").includes(block);
  };
  const shown = data.map((row, y) => row.map((_, x) => !isLight(y, x)));
  expect(shown).toEqual(data);
});

test("colours fix black and white on any theme, and end with the line", () => {
  const plain = terminalQr(link, { columns: 80, hasColor: false })?.split("\n") ?? [];
  const coloured = terminalQr(link, { columns: 80, hasColor: true })?.split("\n") ?? [];
  expect(coloured).toEqual(plain.map((line) => `\x1b[38;5;231;48;5;16m${line}\x1b[0m`));
});

test("a terminal that would break its lines gets no QR code", () => {
  const { size } = encode(link, { border: 2 });
  expect(terminalQr(link, { columns: size - 1, hasColor: true })).toBe(null);
  expect(terminalQr(link, { columns: size, hasColor: true })).not.toBe(null);
});
