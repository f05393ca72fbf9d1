import { describe, expect, it } from "vitest";
import type { OpenedMessage, Stamp } from "../../src/mesh/envelope.ts";
import { MAX_CLOCK_DIFFERENCE_MS, ReplayGuard } from "../../src/mesh/replay_guard.ts";

const NOW_MS = 1_800_000_000_000;
const STAMP: Stamp = {
  ...{ seq: 1, run: "first", startedMs: NOW_MS - 5000, forRun: null, timeMs: NOW_MS },
};

describe("a replay guard", () => {
  it("takes the messages of a run in order, with gaps, and none twice", () => {
    const guard = new ReplayGuard("mine");
    for (const seq of [1, 2, 5]) expect(guard.admit(message({ seq }), NOW_MS)).toBeNull();
    for (const seq of [5, 4, 1]) {
      expect(guard.admit(message({ seq }), NOW_MS)).toContain("seen before");
    }
    expect(guard.admit(message({ seq: 6 }), NOW_MS)).toBeNull();
  });

  it("counts each sender by itself", () => {
    const guard = new ReplayGuard("mine");
    expect(guard.admit(message({ seq: 9 }), NOW_MS)).toBeNull();
    expect(guard.admit(message({ seq: 1 }, "other"), NOW_MS)).toBeNull();
  });

  it("follows a sender into its next run, and not back", () => {
    const guard = new ReplayGuard("mine");
    const next = { run: "second", startedMs: NOW_MS - 10 };
    expect(guard.admit(message({ seq: 40 }), NOW_MS)).toBeNull();
    expect(guard.admit(message({ ...next, seq: 1 }), NOW_MS)).toBeNull();
    expect(guard.runOf("peer")).toBe("second");
    expect(guard.admit(message({ seq: 41 }), NOW_MS)).toContain("earlier run of its sender");
    expect(guard.admit(message({ ...next, seq: 1 }), NOW_MS)).toContain("seen before");
    expect(guard.runOf("peer")).toBe("second");
  });

  it("refuses what was meant for an earlier run of the recipient", () => {
    const guard = new ReplayGuard("mine");
    expect(guard.admit(message({ forRun: "before" }), NOW_MS)).toContain(
      "earlier run of this peer",
    );
    expect(guard.runOf("peer")).toBeNull();
    expect(guard.admit(message({ forRun: "mine" }), NOW_MS)).toBeNull();
  });

  it("needs no clock for messages that name its run", () => {
    const guard = new ReplayGuard("mine");
    const dayBefore = { forRun: "mine", timeMs: NOW_MS - 86_400_000 };
    expect(guard.admit(message(dayBefore), NOW_MS)).toBeNull();
  });

  it("takes messages to everyone from clocks that are off by minutes, and no older ones", () => {
    const limit = MAX_CLOCK_DIFFERENCE_MS;
    for (const offMs of [-limit, -60_000, 0, 60_000, limit]) {
      const guard = new ReplayGuard("mine");
      expect(guard.admit(message({ timeMs: NOW_MS + offMs }), NOW_MS), `${offMs}`).toBeNull();
    }
    const guard = new ReplayGuard("mine");
    expect(guard.admit(message({ timeMs: NOW_MS - 3_600_000 }), NOW_MS))
      .toBe("it was made 60 minutes ago: set the clocks of both devices");
    expect(guard.admit(message({ timeMs: NOW_MS + limit + 1 }), NOW_MS)).toContain("in the future");
    expect(guard.runOf("peer")).toBeNull();
  });

  it("forgets who was silent longest when there are too many", () => {
    const guard = new ReplayGuard("mine", { capacity: 3 });
    for (const from of ["a", "b", "c"]) guard.admit(message({}, from), NOW_MS);
    guard.admit(message({ seq: 2 }, "a"), NOW_MS);
    guard.admit(message({}, "d"), NOW_MS);
    expect(["a", "b", "c", "d"].map((id) => guard.runOf(id)))
      .toEqual(["first", null, "first", "first"]);
  });

  function message(stamp: Partial<Stamp>, from = "peer"): OpenedMessage {
    return {
      ...{ from, to: null, stamp: { ...STAMP, ...stamp } },
      message: { type: "announce", role: "peer" },
    };
  }
});
