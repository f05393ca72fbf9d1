import { expect, test } from "vitest";
import { Desk, outline } from "./desk.ts";

test("with one stage the next step takes tokens that nobody knows yet", () => {
  const desk = new Desk();
  desk.add(4);
  const first = desk.schedule();
  const ahead = desk.schedule();
  expect(ahead.slices).toMatchObject([{
    sequenceId: 0,
    slot: 0,
    startPosition: 4,
    tokenIds: Uint32Array.of(0),
    takesDrawn: true,
    sample: { tokenIndex: 1 },
  }]);
  expect(desk.scheduleOrNull()).toBeNull();
  desk.update(first, 7);
  const next = desk.schedule();
  expect(next.slices).toMatchObject([{ startPosition: 5, takesDrawn: true }]);
  desk.update(ahead, 8);
  desk.update(next, 9);
  expect(desk.schedule().slices).toMatchObject([{
    startPosition: 6,
    tokenIds: Uint32Array.of(9),
    sample: { tokenIndex: 3 },
  }]);
});

test("no step runs ahead of the last token that the length allows", () => {
  const desk = new Desk({ maxModelLength: 8 });
  desk.add(4, { maxTokens: 2 });
  const first = desk.schedule();
  const last = desk.schedule();
  desk.update(first);
  expect(desk.scheduleOrNull()).toBeNull();
  expect(desk.update(last)).toMatchObject([{ finishReason: "length" }]);
  desk.add(6, { maxTokens: 100 });
  const prompt = desk.schedule();
  const decode = desk.schedule();
  expect(outline(decode)).toEqual(["1:6+1!"]);
  desk.update(prompt);
  expect(desk.scheduleOrNull()).toBeNull();
  expect(desk.update(decode)).toMatchObject([{ finishReason: "length" }]);
});

test("what ran ahead of a stop token is discarded", () => {
  const desk = new Desk();
  desk.add(4, { stopTokenIds: [9] });
  const first = desk.schedule();
  const ahead = desk.schedule();
  expect(desk.update(first, 9)).toMatchObject([{ tokenId: null, finishReason: "stop" }]);
  expect(desk.update(ahead, 5)).toEqual([]);
  expect(desk.scheduler.stats()).toMatchObject({ numGeneratedTokens: 0, numFreeBlocks: 64 });
});

test("a step that runs ahead takes in newcomers, so that all decode together from there on", () => {
  const desk = new Desk();
  desk.add(4);
  const first = desk.schedule();
  desk.add(4);
  const ahead = desk.schedule();
  expect(outline(ahead)).toEqual(["0:4+1!", "1:0+4!"]);
  desk.update(first);
  expect(outline(desk.schedule())).toEqual(["0:5+1!", "1:4+1!"]);
});

test("where a penalty counts the token, the step waits for it, and the others with it", () => {
  const desk = new Desk();
  desk.add(4, { repetitionPenalty: 1.1 });
  desk.add(4);
  const first = desk.schedule();
  expect(desk.scheduleOrNull()).toBeNull();
  desk.update(first);
  expect(outline(desk.schedule())).toEqual(["0:4+1!", "1:4+1!"]);
});

test("chunks of one prompt follow each other without waiting", () => {
  const desk = new Desk({ numMicroBatches: 3, maxBatchTokens: 32 });
  desk.add(80);
  const batches = [desk.schedule(), desk.schedule(), desk.schedule()];
  expect(batches.map(outline)).toEqual([["0:0+32"], ["0:32+32"], ["0:64+16!"]]);
  expect(desk.scheduleOrNull()).toBeNull();
  for (const batch of batches) desk.update(batch);
  expect(outline(desk.schedule())).toEqual(["0:80+1!"]);
});

test("a failed step takes the one that runs ahead of it along", () => {
  const desk = new Desk();
  desk.add(4);
  const [first, ahead] = [desk.schedule(), desk.schedule()];
  expect(desk.scheduler.fail(first)).toEqual([0]);
  expect(desk.update(ahead)).toEqual([]);
  expect(desk.scheduler.stats()).toMatchObject({ numRunning: 0, numFreeBlocks: 64 });
});
