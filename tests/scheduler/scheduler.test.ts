import { expect, test } from "vitest";
import { RefusedError } from "../../src/scheduler/admission.ts";
import { Desk, outline } from "./desk.ts";

test("a short prompt is prefilled at once and then decoded token by token", () => {
  const desk = new Desk();
  desk.add(5);
  expect(desk.step(41)).toEqual({
    stepId: 0,
    slices: [{
      sequenceId: 0,
      slot: 0,
      startPosition: 0,
      tokenIds: Uint32Array.of(0, 1, 2, 3, 4),
      blockTable: Uint32Array.of(0),
      sample: { temperature: 0, topP: 1, topK: 0, minP: 0, seed: 0, tokenIndex: 0 },
    }],
  });
  const { slices: [decode] } = desk.step(42);
  expect(decode?.startPosition).toBe(5);
  expect(decode?.tokenIds).toEqual(Uint32Array.of(41));
  expect(decode?.sample?.tokenIndex).toBe(1);
});

test("a long prompt goes in chunks, and only the last one draws a token", () => {
  const desk = new Desk({ maxBatchTokens: 32 });
  desk.add(70);
  const batches = [desk.step(), desk.step(), desk.step(), desk.step()];
  expect(batches.map(outline)).toEqual([["0:0+32"], ["0:32+32"], ["0:64+6!"], ["0:70+1!"]]);
  expect(batches.map(({ slices }) => slices[0]?.blockTable.length)).toEqual([2, 4, 5, 5]);
});

test("decodes come first, so a long prompt never stalls running streams", () => {
  const desk = new Desk({ maxBatchTokens: 16 });
  desk.add(4);
  desk.add(4);
  desk.step();
  desk.add(100);
  for (let i = 0; i < 7; i++) {
    const batch = outline(desk.step());
    expect(batch).toHaveLength(3);
    expect(batch.slice(0, 2)).toEqual([`0:${4 + i}+1!`, `1:${4 + i}+1!`]);
  }
});

test("several prompts share one batch and later ones wait for maxSequences", () => {
  const desk = new Desk({ maxSequences: 2, maxBatchTokens: 64 });
  desk.add(10, { maxTokens: 1 });
  desk.add(10);
  desk.add(10);
  expect(outline(desk.step())).toEqual(["0:0+10!", "1:0+10!"]);
  expect(outline(desk.step())).toEqual(["1:10+1!", "2:0+10!"]);
});

test("with several stages a token is drawn only after the one before it", () => {
  const desk = new Desk({ numMicroBatches: 2 });
  desk.add(4);
  const first = desk.schedule();
  expect(desk.scheduleOrNull()).toBeNull();
  desk.add(4);
  const second = desk.schedule();
  expect(outline(second)).toEqual(["1:0+4!"]);
  desk.update(second);
  expect(outline(desk.schedule())).toEqual(["1:4+1!"]);
  desk.update(first);
  expect(outline(desk.schedule())).toEqual(["0:4+1!"]);
});

test("decodes are shared out among the micro-batches", () => {
  const desk = new Desk({ numMicroBatches: 3 });
  for (let i = 0; i < 7; i++) desk.add(2);
  desk.step();
  const batches = [desk.schedule(), desk.schedule(), desk.schedule()];
  expect(batches.map(({ slices }) => slices.length)).toEqual([3, 3, 1]);
  expect(desk.scheduleOrNull()).toBeNull();
});

test("a stop token ends the sequence and is not part of its output", () => {
  const desk = new Desk();
  desk.add(3, { stopTokenIds: [7, 9] });
  expect(desk.update(desk.schedule(), 8)).toEqual([
    { sequenceId: 0, tokenId: 8, finishReason: null, numCachedTokens: 0 },
  ]);
  expect(desk.update(desk.schedule(), 9)).toEqual([
    { sequenceId: 0, tokenId: null, finishReason: "stop", numCachedTokens: 0 },
  ]);
  expect(desk.scheduler.stats()).toMatchObject({ numRunning: 0, numFreeBlocks: 64 });
});

test("maxTokens and the model's length end a sequence with its last token", () => {
  const desk = new Desk({ maxModelLength: 8 });
  desk.add(3, { maxTokens: 2 });
  desk.add(6, { maxTokens: 100 });
  desk.step();
  expect(desk.update(desk.schedule(), 5)).toEqual([
    { sequenceId: 0, tokenId: 5, finishReason: "length", numCachedTokens: 0 },
    { sequenceId: 1, tokenId: 5, finishReason: "length", numCachedTokens: 0 },
  ]);
  expect(desk.scheduler.stats()).toMatchObject({ numGeneratedTokens: 4, numFreeBlocks: 64 });
});

test("a sequence that fills the whole pool ends there instead of preempting itself", () => {
  const desk = new Desk({ numBlocks: 2, maxModelLength: 1000 });
  expect(desk.scheduler.maxModelLength).toBe(32);
  desk.add(30, { maxTokens: 1000 });
  desk.step();
  const [update] = desk.update(desk.schedule());
  expect(update?.finishReason).toBe("length");
  expect(desk.scheduler.stats()).toMatchObject({ numPreemptions: 0, numFreeBlocks: 2 });
});

test("out of blocks, the newest sequence makes room and is computed again with its tokens", () => {
  const desk = new Desk({ numBlocks: 4, numMicroBatches: 1 });
  desk.add(15, { maxTokens: 40 });
  desk.add(15, { maxTokens: 40 });
  // Two blocks each hold 32 tokens; the third block of the first is taken from the second.
  for (let i = 0; i < 18; i++) desk.step(60 + i);
  expect(desk.scheduler.stats()).toMatchObject({ numRunning: 2, numFreeBlocks: 0 });
  expect(outline(desk.step(90))).toEqual(["0:32+1!"]);
  expect(desk.scheduler.stats()).toMatchObject({
    numRunning: 1,
    numWaiting: 1,
    numPreemptions: 1,
    numFreeBlocks: 1,
  });
  desk.abort(0);
  // Its first block is still there, its second went to the other one.
  const { slices: [again] } = desk.step();
  const prompt = Array.from({ length: 15 }, (_, i) => 1000 + i);
  const output = Array.from({ length: 18 }, (_, i) => 60 + i);
  expect(again?.startPosition).toBe(16);
  expect(again?.tokenIds).toEqual(Uint32Array.from([...prompt, ...output].slice(16)));
  expect(again?.sample?.tokenIndex).toBe(18);
});

test("a preempted sequence comes back before those that never ran", () => {
  const desk = new Desk({ numBlocks: 3 });
  desk.add(16, { maxTokens: 17 });
  desk.add(15, { maxTokens: 17 });
  desk.add(2);
  const batches = [desk.step(), desk.step(), desk.step()];
  expect(batches.map(outline)).toEqual([
    ["0:0+16!", "1:0+15!"],
    ["0:16+1!", "1:15+1!"],
    ["0:17+1!"],
  ]);
  expect(desk.scheduler.stats().numPreemptions).toBe(1);
  desk.abort(0);
  expect(outline(desk.step())).toEqual(["1:16+1!"]);
});

test("out of blocks, even a newest sequence in flight makes room, and draws its token again", () => {
  const desk = new Desk({ numBlocks: 4, numMicroBatches: 2 });
  desk.add(15, { maxTokens: 40 });
  desk.add(15, { maxTokens: 40 });
  desk.step();
  for (let round = 0; round < 16; round++) {
    for (const batch of [desk.schedule(), desk.schedule()]) desk.update(batch);
  }
  // Both are about to fill their second block; there is no third.
  const [older, newer] = [desk.schedule(), desk.schedule()];
  desk.update(older);
  expect(outline(desk.schedule())).toEqual(["0:32+1!"]);
  expect(desk.scheduler.stats().numPreemptions).toBe(1);
  expect(desk.update(newer)).toEqual([]);
  desk.abort(0);
  const again = desk.schedule();
  expect(again.slices[0]?.sample?.tokenIndex).toBe(17);
});

test("a newcomer leaves one block for each running sequence", () => {
  const desk = new Desk({ numBlocks: 4 });
  desk.add(30);
  desk.step();
  desk.add(20);
  expect(outline(desk.step())).toEqual(["0:30+1!"]);
  desk.add(4);
  expect(desk.scheduler.stats().numWaiting).toBe(2);
  desk.abort(1);
  expect(outline(desk.step())).toEqual(["0:31+1!", "2:0+4!"]);
});

test("abort() frees a waiting, a running and an in-flight sequence at once", () => {
  const desk = new Desk({ maxSequences: 2, numBlocks: 8 });
  const ids = [desk.add(20), desk.add(20), desk.add(20)];
  const batch = desk.schedule();
  expect(desk.abort(ids[2]!)).toBe(true);
  expect(desk.abort(ids[0]!)).toBe(true);
  expect(desk.scheduler.stats()).toMatchObject({ numRunning: 1, numWaiting: 0, numFreeBlocks: 6 });
  expect(desk.update(batch).map((update) => update.sequenceId)).toEqual([ids[1]]);
  expect(desk.abort(ids[1]!)).toBe(true);
  expect(desk.scheduler.stats()).toMatchObject({ numRunning: 0, numFreeBlocks: 8 });
  expect(desk.abort(ids[1]!)).toBe(false);
  expect(desk.abort(99)).toBe(false);
});

test("fail() ends the sequences of its batch that are still alive and no others", () => {
  const desk = new Desk({ numMicroBatches: 2 });
  desk.add(4);
  desk.add(4);
  const failed = desk.schedule();
  desk.add(4);
  const other = desk.schedule();
  desk.abort(0);
  expect(desk.scheduler.fail(failed)).toEqual([1]);
  desk.scheduler.checkIntegrity();
  expect(() => desk.scheduler.fail(failed)).toThrow('Step "0" is not in flight');
  expect(desk.update(other)).toHaveLength(1);
});

test("update() refuses tokens that do not match the batch, and changes nothing", () => {
  const desk = new Desk();
  desk.add(4);
  desk.add(4);
  const batch = desk.schedule();
  expect(() => desk.scheduler.update(batch, [{ sequenceId: 1, tokenId: 3 }])).toThrow(
    'Step "0" drew tokens of sequences "1" instead of "0,1"',
  );
  desk.scheduler.checkIntegrity();
  desk.update(batch);
  expect(() => desk.update(batch)).toThrow('Step "0" is not in flight');
});

test("penalties travel only when one is on", () => {
  const desk = new Desk();
  desk.add(3);
  desk.add(2, { frequencyPenalty: 0.5 });
  desk.step(1);
  const { slices } = desk.step();
  expect(slices[0]?.sample).not.toHaveProperty("penalties");
  expect(slices[1]?.sample?.penalties).toEqual({
    presence: 0,
    frequency: 0.5,
    repetition: 1,
    tokenIds: Uint32Array.of(1000, 1001, 1),
    outputCounts: Uint32Array.of(0, 0, 1),
  });
});

test("what can never run is refused with the limit and the way out", () => {
  const desk = new Desk({ numBlocks: 4, maxModelLength: 32 });
  expect(() => desk.add(0)).toThrow("The prompt is empty: send at least one token");
  expect(() => desk.add(32)).toThrow(
    "The prompt has 32 tokens, but the model takes 32 including at least one of output: shorten it",
  );
  expect(() => desk.add(3, { maxTokens: 0 })).toThrow(
    'maxTokens must be a positive integer, got "0"',
  );
  const small = new Desk({ numBlocks: 1 });
  expect(() => small.add(16)).toThrow(
    "The prompt has 16 tokens, but the KV pool of 1 blocks holds 16 including at least one of " +
      "output: shorten it or enlarge the pool",
  );
  expect(refusal(() => small.add(16))).toMatchObject({
    name: "RefusedError",
    status: 400,
    code: "context_length_exceeded",
  });
  expect(small.scheduler.stats()).toMatchObject({ numWaiting: 0, numPromptTokens: 0 });
});

function refusal(act: () => void): RefusedError {
  try {
    act();
  } catch (error) {
    if (error instanceof RefusedError) return error;
  }
  throw new Error("Not refused");
}

test("limits that are no positive integers or contradict each other are refused", () => {
  expect(() => new Desk({ maxSequences: 0 })).toThrow(
    'maxSequences must be a positive integer, got "0"',
  );
  expect(() => new Desk({ maxModelLength: 1.5 })).toThrow(RangeError);
  expect(() => new Desk({ maxBatchTokens: 4, maxSequences: 5 })).toThrow(
    'maxBatchTokens "4" is below maxSequences "5"',
  );
});

test("a lost pipeline costs no token: sequences are prefilled again, the oldest first", () => {
  const desk = new Desk({ numMicroBatches: 2 });
  desk.add(4);
  desk.add(6);
  desk.step(7);
  const [first, second] = [desk.schedule(), desk.schedule()];
  desk.add(3);
  desk.abort(1);
  desk.lose(first, second);
  expect(desk.scheduler.stats()).toMatchObject({ numRunning: 0, numWaiting: 2, numFreeBlocks: 64 });
  const again = desk.schedule();
  expect(outline(again)).toEqual(["0:0+5!", "2:0+3!"]);
  expect(again.slices[0]).toMatchObject({ sample: { tokenIndex: 1 } });
});

test("a restart waits until all in flight is taken back, which it is once", () => {
  const desk = new Desk();
  desk.add(4);
  const batch = desk.schedule();
  expect(() => desk.scheduler.restart()).toThrow("1 batches are in flight");
  desk.lose(batch);
  expect(() => desk.scheduler.takeBack(batch)).toThrow('Step "0" is not in flight');
});

test("a restart with a smaller pool ends what does not fit and goes on with the rest", () => {
  const desk = new Desk();
  const [short, long] = [desk.add(20), desk.add(40)];
  const batch = desk.schedule();
  desk.scheduler.takeBack(batch);
  expect(desk.scheduler.restart(2)).toEqual([long]);
  desk.scheduler.checkIntegrity();
  expect(desk.scheduler.maxModelLength).toBe(32);
  expect(outline(desk.schedule())).toEqual([`${short}:0+20!`]);
  expect(() => desk.add(32)).toThrow("the KV pool of 2 blocks holds 32");
});
