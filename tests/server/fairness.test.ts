/** Who is served first, over HTTP and with the real engine. */
import { expect, test } from "vitest";
import { chainServer, promptOf } from "./chain_server.ts";
import { until } from "./clocks.ts";

/** One sequence runs at a time; `order` has the names of the answers as they come. */
function orderedServer(options: Parameters<typeof chainServer>[0] = {}) {
  const server = chainServer({ isHeld: true, scheduler: { maxSequences: 1 }, ...options });
  const order: string[] = [];
  let numSent = 0;
  return {
    order,
    send: async (name: string, fields: { key?: string; [field: string]: unknown }) => {
      const { engine } = server;
      void server.complete({ prompt: promptOf(20, numSent), ...fields })
        .then(({ status }) => order.push(status === 200 ? name : `${name} ${status}`));
      numSent++;
      await until(() => engine.stats().numRunning + engine.stats().numWaiting === numSent);
    },
    finish: async () => {
      while (order.length < numSent) await server.steps(1);
      expect(server.isIdle()).toBe(true);
      return order;
    },
  };
}

test("a client with one request does not wait for all of another's", async () => {
  const access = { ownOrigins: () => [], isLoopback: false, apiKeys: ["sk-heavy", "sk-light"] };
  const { send, finish } = orderedServer({ access });
  for (let i = 0; i < 5; i++) {
    await send(`heavy ${i}`, { key: "sk-heavy", remoteAddress: `10.0.0.${i}`, user: `user ${i}` });
  }
  await send("light", { key: "sk-light" });
  // The first one ran already.
  expect((await finish()).indexOf("light")).toBeLessThanOrEqual(2);
});

test("interactive requests go before those of batch jobs, whichever way they say so", async () => {
  const { send, finish } = orderedServer();
  await send("first", {});
  await send("flex", { service_tier: "flex" });
  await send("batch", { priority: "batch" });
  await send("number", { priority: 3 });
  await send("plain", {});
  await send("urgent", { priority: -1 });
  const order = await finish();
  expect(order.slice(0, 3).sort()).toEqual(["first", "plain", "urgent"]);
  expect(order.slice(3).sort()).toEqual(["batch", "flex", "number"]);
});
