import { encode } from "uqr";
import { expect, test } from "vitest";
import { joinInstructions } from "../../src/cluster/join_instructions.ts";

const link = "https://192.168.1.20:8420/#v1.room.secret";

test("join instructions hold the link, a command that shells pass on whole, and the note", () => {
  expect(joinInstructions({ link, note: "Only here" })).toMatchObject({
    link,
    command: 'deno task node --join "https://192.168.1.20:8420/#v1.room.secret"',
    note: "Only here",
  });
});

test("the picture has the dark modules of the link's code and nothing that runs", () => {
  const { qrSvg } = joinInstructions({ link, note: null });
  const { data } = encode(link, { border: 4 });
  const dark = data.flatMap((row, y) => row.flatMap((isDark, x) => isDark ? [[x, y]] : []));
  const drawn = [...qrSvg.matchAll(/M(\d+),(\d+)h10v10h-10z/g)].map(([, x, y]) => [
    Number(x) / 10,
    Number(y) / 10,
  ]);
  expect(drawn).toEqual(dark);
  expect(qrSvg).toMatch(/^<svg xmlns="[^"]*" viewBox="[^"]*"><rect [^>]*\/><path [^>]*\/><\/svg>$/);
});
