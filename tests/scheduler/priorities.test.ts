import { expect, test } from "vitest";
import { FairShare } from "../../src/scheduler/fair_share.ts";
import { Desk, outline } from "./desk.ts";

test("interactive sequences go before batch jobs that wait longer", () => {
  const desk = new Desk({ maxSequences: 1 });
  desk.add(4, { maxTokens: 1 });
  desk.add(4, { maxTokens: 1 }, { priority: "batch" });
  desk.add(4, { maxTokens: 1 });
  const order = [desk.step(), desk.step(), desk.step()].map(outline);
  expect(order).toEqual([["0:0+4!"], ["2:0+4!"], ["1:0+4!"]]);
});

test("a batch job makes way for an interactive sequence and comes back after it", () => {
  const desk = new Desk({ maxSequences: 2 });
  desk.add(20, { maxTokens: 50 }, { priority: "batch" });
  desk.add(20, { maxTokens: 50 }, { priority: "batch" });
  desk.step(40);
  desk.add(20, { maxTokens: 2 });
  expect(outline(desk.step(41))).toEqual(["0:20+1!", "2:0+20!"]);
  expect(desk.scheduler.stats().numPreemptions).toBe(1);
  expect(outline(desk.step(42))).toEqual(["2:20+1!", "0:21+1!"]);
  // Its prompt was cached all along.
  expect(outline(desk.step(43))).toEqual(["0:22+1!", "1:16+5!"]);
});

test("an interactive prompt does not wait for the rest of a batch job's", () => {
  const desk = new Desk({ maxBatchTokens: 32, numBlocks: 64 });
  desk.add(300, {}, { priority: "batch" });
  desk.step();
  desk.add(20);
  expect(outline(desk.step())).toEqual(["1:0+20!", "0:32+12"]);
});

test("batch jobs are not preempted in vain", () => {
  const desk = new Desk({ numBlocks: 12 });
  desk.add(100, { maxTokens: 80 });
  desk.add(30, { maxTokens: 60 }, { priority: "batch" });
  desk.step();
  desk.step();
  // 8 blocks would not be free even without the batch job.
  desk.add(120);
  expect(outline(desk.step())).toEqual(["0:100+1!", "1:28+2!"]);
  expect(desk.scheduler.stats().numPreemptions).toBe(0);
});

test("interactive sequences do not preempt each other for a newcomer", () => {
  const desk = new Desk({ maxSequences: 1 });
  desk.add(4);
  desk.step();
  desk.add(4);
  expect(outline(desk.step())).toEqual(["0:4+1!"]);
  expect(desk.scheduler.stats().numPreemptions).toBe(0);
});

test("clients take turns, however many sequences each of them sends", () => {
  const desk = new Desk({ maxSequences: 1 });
  for (let i = 0; i < 6; i++) desk.add(10, { maxTokens: 1 }, { clientId: "heavy" });
  desk.add(10, { maxTokens: 1 }, { clientId: "light" });
  desk.add(10, { maxTokens: 1 }, { clientId: "light" });
  const order = Array.from({ length: 8 }, () => desk.step().slices[0]?.sequenceId);
  expect(order).toEqual([0, 6, 1, 7, 2, 3, 4, 5]);
});

test("31 light clients wait for one sequence of a heavy one, not for all", () => {
  const desk = new Desk({ maxSequences: 1, numBlocks: 64 });
  for (let i = 0; i < 50; i++) desk.add(30, { maxTokens: 1 }, { clientId: "heavy" });
  const light = Array.from(
    { length: 31 },
    (_, i) => desk.add(30, { maxTokens: 1 }, { clientId: `light ${i}` }),
  );
  const order = Array.from({ length: 33 }, () => desk.step().slices[0]!.sequenceId);
  expect(order.filter((id) => id < 50)).toHaveLength(2);
  expect(light.every((id) => order.includes(id))).toBe(true);
});

test("long prompts and answers count for what they are", () => {
  const share = new FairShare();
  share.arrive("a");
  share.arrive("b");
  share.charge("a", "prompt", 100);
  share.charge("b", "output", 40);
  expect(share.served("a")).toBeGreaterThan(share.served("b"));
  share.charge("b", "output", 20);
  expect(share.served("a")).toBeLessThan(share.served("b"));
});

test("a client that was away has no credit, and one that left keeps its debt", () => {
  const share = new FairShare();
  share.arrive("busy");
  share.charge("busy", "prompt", 500);
  share.arrive("new");
  expect(share.served("new")).toBe(500);
  share.charge("new", "prompt", 300);
  share.leave("new");
  share.arrive("new");
  expect(share.served("new")).toBe(800);
  share.checkIntegrity(["busy", "new"]);
  expect(() => share.checkIntegrity(["busy", "busy", "new"])).toThrow("2 sequences");
});

test("work that disturbed nobody is no debt", () => {
  const share = new FairShare();
  share.arrive("alone");
  share.charge("alone", "prompt", 5000);
  share.leave("alone");
  share.arrive("new");
  share.arrive("alone");
  expect(share.served("alone")).toBe(share.served("new"));
});

test("clients that are gone are forgotten in time", () => {
  const share = new FairShare();
  for (let i = 0; i < 5000; i++) {
    share.arrive(`${i}`);
    share.leave(`${i}`);
  }
  expect(() => share.served("0")).toThrow("no account");
  expect(share.served("4999")).toBe(0);
  share.checkIntegrity([]);
});
