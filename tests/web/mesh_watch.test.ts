import { expect, test } from "vitest";
import type { Clock } from "../../src/platform/platform.ts";
import { type MeshState, MeshWatch } from "../../web/src/mesh_watch.ts";
import { watching } from "./mesh_states.ts";

const { status: STATUS, join: JOIN } = watching({});

test("MeshWatch follows the events, and says so while the coordinator is out of reach", async () => {
  const world = makeWorld([
    () => Response.json(JOIN),
    () => events([STATUS, { ...STATUS, tokensPerS: 7 }]),
    () => Promise.reject(new TypeError("refused")),
    () => Response.json({ error: { message: "The model is still loading" } }, { status: 503 }),
    () => Response.json(JOIN),
    () => events([{ ...STATUS, epoch: 4 }]),
    () => new Response("Not found", { status: 404 }),
  ]);
  await world.watch.run();
  const states = world.states.filter((state) => state.type === "watching");
  expect(states.map(({ isLive, status }) => [isLive, status.tokensPerS, status.epoch])).toEqual([
    [true, 31.7, 3],
    [true, 7, 3],
    [false, 7, 3],
    [true, 31.7, 4],
    [false, 31.7, 4],
  ]);
  expect(states.at(-1)?.speeds).toEqual([31.7, 7, 31.7]);
  expect(states.at(-1)?.join).toEqual(JOIN);
});

test("where no coordinator is, there is nothing to watch", async () => {
  for (
    const answer of [
      () => new Response("Not found", { status: 404 }),
      // Static hosts may answer every path with the page.
      () => new Response("<!doctype html>", { headers: { "content-type": "text/html" } }),
    ]
  ) {
    const world = makeWorld([answer]);
    await world.watch.run();
    expect(world.states).toEqual([{ type: "opening" }, { type: "absent" }]);
  }
});

test("a key is asked for, tried, kept for the tab, and asked for again when it is wrong", async () => {
  const locked = () => Response.json({ error: {} }, { status: 401 });
  const world = makeWorld([
    locked,
    locked,
    () => Response.json(JOIN),
    () => events([STATUS]),
    () => new Response("", { status: 404 }),
  ]);
  const running = world.watch.run();
  await world.reached({ type: "locked", isWrong: false });
  world.watch.unlock("wrong");
  await world.reached({ type: "locked", isWrong: true });
  world.watch.unlock("right");
  await running;
  expect(world.keys).toEqual([
    null,
    "Bearer wrong",
    "Bearer right",
    "Bearer right",
    "Bearer right",
  ]);
  expect(world.kept.get("tessera.apiKey")).toBe("right");
  expect(world.states.some(({ type }) => type === "watching")).toBe(true);
});

test("a page that may not call is told why", async () => {
  const message = "Pages of http://a.test may not call this";
  const world = makeWorld([() => Response.json({ error: { message } }, { status: 403 })]);
  await world.watch.run();
  expect(world.states.at(-1)).toEqual({ type: "refused", reason: message });
});

/** A watch whose requests get these answers, one after the other. */
function makeWorld(answers: readonly (() => Response | Promise<Response>)[]) {
  const keys: (string | null)[] = [];
  const kept = new Map<string, string>();
  const states: MeshState[] = [];
  const rest = [...answers];
  let nowMs = 0;
  const clock: Clock = {
    now: () => nowMs += 1_000,
    sleep: () => Promise.resolve(),
  };
  const watch = new MeshWatch({
    clock,
    fetch: async (_, init) => {
      keys.push(new Headers(init.headers).get("authorization"));
      return await rest.shift()!();
    },
    keyStore: {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => void kept.set(key, value),
      removeItem: (key) => void kept.delete(key),
    },
  });
  watch.state.subscribe((state) => states.push(state));
  return {
    ...{ watch, states, keys, kept },
    reached: async (state: MeshState) => {
      // Everything here waits for nothing but promises.
      await new Promise((resolve) => setTimeout(resolve));
      expect(states.at(-1)).toEqual(state);
    },
  };
}

function events(statuses: readonly unknown[]): Response {
  const lines = statuses.map((status) => `event: status\ndata: ${JSON.stringify(status)}\n\n`);
  return new Response(`: keep-alive\n\n${lines.join("")}`);
}
