import { expect, test } from "vitest";
import { describeReport } from "../../src/cli/verify_report.ts";
import type { CaseReport } from "../../src/verify.ts";

const RIGHT: CaseReport = {
  case: "llama",
  ok: true,
  maxAbsError: 1.25e-6,
  greedyMatch: true,
  maxHiddenError: 3.5e-7,
  hiddenErrors: [0, 3.5e-7, 2e-7],
  fault: null,
  stages: 2,
  peers: 0,
  adapter: "llvmpipe",
};
const WRONG: CaseReport = { ...RIGHT, ok: false, maxAbsError: 0.5, greedyMatch: false };
const NONE = { maxHiddenError: null, hiddenErrors: null };

test.each<[string, CaseReport]>([
  [
    "ok     llama: logits within 1.25e-6, greedy equal, hidden states within 3.50e-7 of their size, " +
    "2 stage(s) on llvmpipe",
    RIGHT,
  ],
  [
    "ok     llama: logits within 1.25e-6, greedy equal, no hidden states stored, 2 stage(s) on llvmpipe",
    { ...RIGHT, ...NONE },
  ],
  [
    "ok     llama: logits within 1.25e-6, greedy equal, hidden states not compared on peers, " +
    "2 stage(s) on llvmpipe of 2 peer(s)",
    { ...RIGHT, ...NONE, peers: 2 },
  ],
  ["FAILED llama: There is no such file", { ...WRONG, error: "There is no such file" }],
])("describeReport() says %j", (text, report) => {
  expect(describeReport(report)).toBe(text);
});

const AT = { input: 1, position: 17 };
test.each<[string, CaseReport["fault"]]>([
  ["layer 3 is wrong, first at input 1, position 17,", { where: "layer", layer: 3, ...AT }],
  ["the embedding is wrong, first at input 1,", { where: "embedding", layer: null, ...AT }],
  ["layer 3, the last, or the head is wrong,", { where: "last layer or head", layer: 3, ...AT }],
  ["each layer by itself is right,", null],
])("describeReport() tells where a case fails: %s", (text, fault) => {
  expect(describeReport({ ...WRONG, fault })).toContain(`of their size: ${text}`);
});
