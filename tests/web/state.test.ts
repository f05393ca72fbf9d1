import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { announcementOf } from "../../web/src/announcement.ts";
import type { Problem } from "../../web/src/problem.ts";
import { INITIAL_STATE, type PageEvent, type PageState, reduce } from "../../web/src/state.ts";
import { PAGE_STATES, PEER_VIEW } from "./page_states.ts";

const { asking, serving } = PAGE_STATES as { asking: PageState; serving: PageState };
const FOUND: PageEvent = {
  type: "found-adapter",
  adapter: asking.adapter!,
  memory: asking.memory,
  settings: asking.settings,
};
const AGREED: PageEvent = { type: "agreed", settings: asking.settings };
const OPENED: PageEvent = { type: "device-opened", device: serving.device!, warnings: [] };
const LEFT: PageEvent = { type: "left" };
const LOST: Problem = { type: "device-lost", reason: "reset" };

describe("the page's state", () => {
  test("goes from looking over asking and testing to lending, and leaves", () => {
    const screens = [];
    let state = INITIAL_STATE;
    for (const event of [FOUND, AGREED, OPENED, view({ state: "waiting" }), LEFT] as const) {
      state = reduce(state, event);
      screens.push(state.screen.type);
    }
    expect(screens).toEqual(["asking", "testing", "lending", "lending", "left"]);
    expect(state.peer?.state).toBe("waiting");
  });

  test("keeps a remembered choice within what the device may lend", () => {
    const settings = { name: "x", memoryBytes: 1e15 };
    const { settings: kept, memory } = play({ ...FOUND, settings });
    expect(kept.memoryBytes).toBe(memory.maxBytes);
  });

  test("a refusal ends in its own screen, with the reason", () => {
    const state = play(FOUND, AGREED, OPENED, view({ state: "refused", note: "Wrong version" }));
    expect(state.screen).toEqual({
      type: "problem",
      problem: { type: "refused", reason: "Wrong version" },
    });
    expect(announcementOf(state)).toMatchObject({ tone: "bad", word: "Stopped" });
  });

  test("a coordinator that is gone keeps the peer's screen and says so", () => {
    const state = play(FOUND, AGREED, OPENED, view({ state: "coordinator-gone" }));
    expect(state.screen.type).toBe("lending");
    expect(announcementOf(state).sentence).toContain("trying again");
  });

  test("two losses offer to start again, the third within ten minutes stops", () => {
    const lose = (state: PageState, atMs: number) =>
      [AGREED, OPENED, { type: "failed", problem: LOST, atMs } as const].reduce(reduce, state);
    let state = lose(play(FOUND), 1_000);
    expect(state.screen).toEqual({ type: "problem", problem: LOST });
    state = lose(state, 200_000);
    expect(state.screen).toEqual({ type: "problem", problem: LOST });
    expect(lose(state, 600_999).screen).toEqual({
      type: "problem",
      problem: { ...LOST, type: "device-lost-often" },
    });
    expect(lose(state, 601_000).screen).toEqual({ type: "problem", problem: LOST });
  });

  test("shows the download's speed over the last seconds, and forgets it once loaded", () => {
    const load = (downloadedBytes: number, atMs: number) =>
      view({ state: "loading", load: { loadedBytes: 0, totalBytes: 9e9, downloadedBytes } }, atMs);
    const loading = play(FOUND, AGREED, OPENED, load(0, 0), load(4e6, 2_000));
    expect(loading.download.perS).toBe(2e6);
    expect(reduce(loading, load(4e6, 60_000)).download.perS).toBe(0);
    expect(reduce(loading, load(1e6, 3_000)).download.perS).toBe(0);
    expect(reduce(loading, view({ state: "serving" })).download.perS).toBe(0);
  });

  test("what comes too late for its screen changes nothing", () => {
    for (const screen of ["asking", "left", "memory"]) {
      const state = PAGE_STATES[screen]!;
      for (
        const event of [OPENED, view({ state: "serving" }), { type: "second-passed" }] as const
      ) {
        expect(reduce(state, event), `${screen} ${event.type}`).toBe(state);
      }
    }
  });

  test("starting again shows nothing of the last time", () => {
    const again = reduce(serving, AGREED);
    expect(again).toMatchObject({ peer: null, device: null, speeds: [], warnings: [] });
    expect(again.adapter).toBe(serving.adapter);
  });

  test("whatever happens, lending needs agreement first and nothing grows for ever", () => {
    const events = fc.array(
      fc.constantFrom<PageEvent>(
        ...[FOUND, AGREED, OPENED, LEFT, { type: "second-passed" }, {
          type: "asked-again",
        }] as const,
        ...(["waiting", "loading", "serving", "refused", "left"] as const).map((state) =>
          view({ state, load: { loadedBytes: 1, totalBytes: 2, downloadedBytes: 1 } })
        ),
        { type: "failed", problem: LOST, atMs: 0 },
      ),
      { maxLength: 300, size: "max" },
    );
    fc.assert(
      fc.property(events, (events) => {
        let state = INITIAL_STATE;
        for (const event of events) {
          const before = state.screen.type;
          state = reduce(state, event);
          const { type } = state.screen;
          if (type === "lending") expect(["testing", "lending"]).toContain(before);
          if (type === "testing" && before !== "testing") expect(event.type).toBe("agreed");
          expect(state.speeds.length).toBeLessThanOrEqual(60);
          expect(announcementOf(state).sentence).not.toBe("");
        }
      }),
      { numRuns: 100 },
    );
  });
});

function view(changes: Partial<typeof PEER_VIEW>, atMs = 0): PageEvent {
  return { type: "peer-changed", view: { ...PEER_VIEW, ...changes }, atMs };
}

function play(...events: readonly PageEvent[]): PageState {
  return events.reduce(reduce, INITIAL_STATE);
}
