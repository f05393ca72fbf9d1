import { expect, test } from "vitest";
import { Desk, outline } from "./desk.ts";

const text = (length: number, first = 0) => Array.from({ length }, (_, i) => first + i);

test("the next turn of a chat reuses prompt and answer of the last one", () => {
  const desk = new Desk();
  desk.addPrompt(text(30), { maxTokens: 20 });
  const answer: number[] = [];
  while (desk.scheduler.stats().numRunning + desk.scheduler.stats().numWaiting > 0) {
    for (const { tokenId } of desk.update(desk.schedule(), 500 + answer.length)) {
      answer.push(tokenId!);
    }
  }
  expect(answer).toHaveLength(20);
  expect(desk.scheduler.stats()).toMatchObject({ numFreeBlocks: 64, numCachedBlocks: 3 });
  desk.addPrompt([...text(30), ...answer, 1, 2, 3]);
  const batch = desk.schedule();
  // 49 of the 50 tokens were computed: three whole blocks.
  expect(outline(batch)).toEqual(["1:48+5!"]);
  expect(batch.slices[0]?.blockTable).toHaveLength(4);
  expect(desk.update(batch)).toMatchObject([{ numCachedTokens: 48 }]);
  expect(desk.scheduler.stats().numCachedPromptTokens).toBe(48);
});

test("the last token of a prompt is computed even when all of it is cached", () => {
  const desk = new Desk();
  desk.addPrompt(text(32), { maxTokens: 1 });
  desk.step();
  desk.addPrompt(text(32), { maxTokens: 1 });
  const [slice] = desk.schedule().slices;
  expect(slice).toMatchObject({ startPosition: 31, tokenIds: Uint32Array.of(31) });
  // The second block goes on from a copy: whoever shares it must not see it change.
  expect(slice?.blockCopy).toEqual({ from: 1, to: slice?.blockTable[1] });
  expect(slice?.blockTable[1]).not.toBe(1);
});

test("a block that is shared in part is copied, unless the part is tiny", () => {
  const desk = new Desk();
  desk.addPrompt(text(48), { maxTokens: 1 });
  desk.step();
  desk.addPrompt([...text(26), 900, 901], { maxTokens: 1 });
  const [partly] = desk.schedule().slices;
  expect(partly).toMatchObject({ startPosition: 26, blockCopy: { from: 1 } });
  desk.addPrompt([...text(19), 900, 901], { maxTokens: 1 });
  const [hardly] = desk.schedule().slices;
  expect(hardly).toMatchObject({ startPosition: 16 });
  expect(hardly).not.toHaveProperty("blockCopy");
});

test("a copy goes with the first slice of a run and no other", () => {
  const desk = new Desk({ maxBatchTokens: 16 });
  desk.addPrompt(text(32), { maxTokens: 1 });
  desk.step();
  desk.step();
  desk.addPrompt([...text(24), ...text(40, 700)]);
  expect(desk.step().slices[0]).toHaveProperty("blockCopy");
  expect(desk.step().slices[0]).not.toHaveProperty("blockCopy");
});

test("different salts share nothing", () => {
  const desk = new Desk();
  desk.addPrompt(text(40), { maxTokens: 1 }, { cacheSalt: "a" });
  desk.step();
  desk.addPrompt(text(40), { maxTokens: 1 }, { cacheSalt: "b" });
  expect(outline(desk.step())).toEqual(["1:0+40!"]);
  desk.addPrompt(text(40), { maxTokens: 1 }, { cacheSalt: "a" });
  expect(outline(desk.step())).toEqual(["2:32+8!"]);
});

test("a salt whose prompts fill no block leaves nothing behind", () => {
  const desk = new Desk();
  for (let i = 0; i < 50; i++) {
    desk.addPrompt(text(8), { maxTokens: 1 }, { cacheSalt: `${i}` });
    desk.step();
  }
  // checkIntegrity() ran after each call.
  expect(desk.scheduler.stats()).toMatchObject({ numCachedBlocks: 0, numFreeBlocks: 64 });
});

test("equal prompts at once are computed once", () => {
  const desk = new Desk({ maxBatchTokens: 64 });
  for (let i = 0; i < 4; i++) desk.addPrompt([...text(50), i], { maxTokens: 3 });
  expect(outline(desk.step())).toEqual(["0:0+51!"]);
  expect(outline(desk.step())).toEqual(["0:51+1!", "1:48+3!", "2:48+3!", "3:48+3!"]);
  expect(desk.scheduler.stats()).toMatchObject({ numRunning: 4, numFreeBlocks: 64 - 3 - 4 });
});

test("a newcomer with another prompt does not wait for a prefix that it has no use for", () => {
  const desk = new Desk({ maxBatchTokens: 32 });
  desk.addPrompt(text(100));
  desk.addPrompt([...text(80), 5]);
  desk.addPrompt(text(8, 600), { maxTokens: 9 });
  expect(outline(desk.step())).toEqual(["0:0+32"]);
  expect(outline(desk.step())).toEqual(["0:32+32"]);
  expect(outline(desk.step())).toEqual(["0:64+32"]);
  expect(outline(desk.step())).toEqual(["0:96+4!", "1:80+1!", "2:0+8!"]);
});

test("what was unused longest is evicted first, leaves before their parents", () => {
  const desk = new Desk({ numBlocks: 8 });
  desk.addPrompt(text(49), { maxTokens: 1 });
  desk.step();
  desk.addPrompt(text(49, 300), { maxTokens: 1 });
  desk.step();
  desk.addPrompt(text(33), { maxTokens: 1 });
  desk.step();
  expect(desk.scheduler.stats().numCachedBlocks).toBe(6);
  // 4 blocks: two are free, then the third of the first text goes, then the third of the second;
  // the last one gives its tail back.
  desk.addPrompt(text(50, 600), { maxTokens: 1 });
  desk.step();
  desk.addPrompt(text(49), { maxTokens: 1 });
  expect(outline(desk.step())).toEqual(["4:32+17!"]);
  // That took the block and the second of the second text.
  desk.addPrompt(text(33, 300), { maxTokens: 1 });
  expect(outline(desk.schedule())).toEqual(["5:16+17!"]);
});

test("a block that a running sequence holds is never evicted", () => {
  const desk = new Desk({ numBlocks: 6 });
  desk.addPrompt(text(40), { maxTokens: 20 });
  desk.step();
  desk.addPrompt(text(40, 300), { maxTokens: 1 });
  expect(outline(desk.step())).toEqual(["0:40+1!"]);
  expect(desk.scheduler.stats()).toMatchObject({ numWaiting: 1, numCachedBlocks: 0 });
});

test("a preempted sequence finds what is left of its blocks", () => {
  const desk = new Desk({ numBlocks: 6 });
  desk.addPrompt(text(30), { maxTokens: 40 });
  desk.addPrompt(text(30, 300), { maxTokens: 40 });
  while (desk.scheduler.stats().numPreemptions === 0) desk.step();
  desk.abort(0);
  const [again] = desk.schedule().slices;
  expect(again?.sequenceId).toBe(1);
  expect(again?.startPosition).toBeGreaterThanOrEqual(32);
});

test("a restart forgets all prefixes", () => {
  const desk = new Desk();
  desk.addPrompt(text(40), { maxTokens: 1 });
  desk.step();
  desk.lose();
  desk.addPrompt(text(40), { maxTokens: 1 });
  expect(outline(desk.step())).toEqual(["1:0+40!"]);
});

test("with linear attention a prefix counts as far as its state was saved", () => {
  const desk = new Desk({ numSavedStates: 8, maxBatchTokens: 32 });
  desk.addPrompt(text(70), { maxTokens: 1 });
  const batches = [desk.step(), desk.step(), desk.step()];
  // Slices end at block boundaries, where the state can be saved.
  expect(batches.map(outline)).toEqual([["0:0+32"], ["0:32+32"], ["0:64+6!"]]);
  expect(batches.map(({ slices }) => slices[0]?.stateMoves)).toEqual([
    { saveTo: 0 },
    { saveTo: 1 },
    undefined,
  ]);
  desk.addPrompt([...text(60), 900], { maxTokens: 1 });
  const [slice] = desk.schedule().slices;
  expect(slice).toMatchObject({ startPosition: 32, stateMoves: { restoreFrom: 0 } });
  expect(slice).not.toHaveProperty("blockCopy");
});

test("saved states are taken from the prefix that was unused longest", () => {
  const desk = new Desk({ numSavedStates: 2 });
  for (const first of [0, 300, 600]) {
    desk.addPrompt(text(17, first), { maxTokens: 1 });
    desk.step();
    desk.step();
  }
  desk.addPrompt(text(17, 600), { maxTokens: 1 });
  expect(outline(desk.step())).toEqual(["3:16+1!"]);
  desk.addPrompt(text(17), { maxTokens: 1 });
  expect(outline(desk.step())).toEqual(["4:0+16"]);
});

test("states that a lost or aborted step was to save are free again", () => {
  const desk = new Desk({ numSavedStates: 1 });
  desk.add(16);
  const batch = desk.schedule();
  expect(batch.slices[0]?.stateMoves).toEqual({ saveTo: 0 });
  desk.abort(0);
  desk.update(batch);
  desk.add(16);
  expect(desk.schedule().slices[0]?.stateMoves).toEqual({ saveTo: 0 });
});
