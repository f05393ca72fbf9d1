import { afterEach, describe, expect, it } from "vitest";
import { SignalingClient } from "../../src/mesh/signaling_client.ts";
import type { Publication } from "../../src/mesh/signaling_message.ts";
import type { Rng } from "../../src/platform/platform.ts";
import { ManualClock, until } from "../server/clocks.ts";
import { FakeHub } from "./fake_hub.ts";
import { middleRng } from "./room_member.ts";

const latest: Rng = { uint32: () => 2 ** 32 - 1 };
const earliest: Rng = { uint32: () => 0 };
const closers: (() => void)[] = [];
afterEach(() => closers.splice(0).forEach((close) => close()));

describe("a signaling client", () => {
  it("is connected once the server has its subscription", async () => {
    const { client, hub, events } = start();
    expect(client.isConnected).toBe(false);
    await until(() => client.isConnected);
    expect(hub.requests).toEqual(['{"type":"subscribe","topics":["topic"]}', '{"type":"ping"}']);
    expect(events).toEqual(["connect"]);
  });

  it("publishes to everyone on its topic, and passes on what others do", async () => {
    const { client, hub, heard } = start();
    await until(() => client.isConnected);
    const publication = { topic: "topic", from: "a", to: null, data: { any: ["thing"] } };
    expect(client.publish(publication)).toBe(true);
    await until(() => heard.length === 1);
    expect(heard).toEqual([publication]);
    expect(hub.published).toEqual([{ type: "publish", ...publication }]);
  });

  it("sends nothing while not connected, and nothing that servers refuse for its length", async () => {
    const { client, hub } = start();
    const publication = { topic: "topic", from: "a", to: null, data: "" };
    expect(client.publish(publication)).toBe(true);
    await until(() => client.isConnected);
    expect(client.publish({ ...publication, data: "x".repeat(63 * 1024) })).toBe(false);
    expect(client.publish({ ...publication, data: "x".repeat(62 * 1024) })).toBe(true);
    await until(() => hub.published.length > 0);
    expect(hub.published).toHaveLength(1);
  });

  it("reports what is not of the protocol and goes on", async () => {
    const { client, hub, events, heard } = start();
    await until(() => client.isConnected);
    const publish = { type: "publish", topic: "topic", from: "a", to: "b" };
    const garbage = [
      ...["{", "null", "5", '"pong"', '{"type":"ping"}', '{"type":"publish"}', "[".repeat(60_000)],
      JSON.stringify({ ...publish, from: 5 }),
      JSON.stringify({ ...publish, to: {} }),
      JSON.stringify({ ...publish, topic: "t".repeat(129) }),
      JSON.stringify({ ...publish, data: "x".repeat(64 * 1024) }),
    ];
    for (const text of garbage) hub.say(text);
    expect(events.slice(1)).toEqual(garbage.map(() => "garbage"));
    expect(heard).toEqual([]);
    expect(client.isConnected).toBe(true);
    hub.say(JSON.stringify({ ...publish, clients: 2, data: 1 }));
    expect(heard).toEqual([{ topic: "topic", from: "a", to: "b", data: 1 }]);
  });

  it("pings every 15 to 30 s as long as pongs come", async () => {
    for (const [rng, periodMs] of [[earliest, 15_000], [latest, 30_000]] as const) {
      const { client, clock, hub, events } = start({ rng });
      await until(() => client.isConnected);
      await pass(clock, 10_000);
      const numPings = () => hub.requests.filter((text) => text.includes("ping")).length;
      for (let round = 1; round <= 4; round++) {
        await pass(clock, periodMs - 10_001);
        expect(numPings()).toBe(round);
        await pass(clock, 1);
        expect(numPings()).toBe(1 + round);
        await pass(clock, 10_000);
      }
      expect(events).toEqual(["connect"]);
    }
  });

  it("gives up a server that answers no ping, and dials again", async () => {
    const { client, clock, hub, events } = start();
    await until(() => client.isConnected);
    hub.isMute = true;
    await pass(clock, 10_000);
    await pass(clock, 12_500);
    await pass(clock, 9_999);
    expect(client.isConnected).toBe(true);
    await pass(clock, 1);
    expect(client.isConnected).toBe(false);
    expect(events).toEqual(["connect", "disconnect: No pong within 10 s"]);
    hub.isMute = false;
    await pass(clock, 500);
    await until(() => client.isConnected);
  });

  it("gives up a server that accepts the connection and says nothing", async () => {
    const { clock, hub, events } = start({ isMute: true });
    await pass(clock, 10_000);
    expect(events).toEqual(["disconnect: No answer within 10 s"]);
    await pass(clock, 500);
    expect(hub.dials).toHaveLength(2);
  });

  it("waits up to 0.5 s, then twice as long each time, and never above 30 s", async () => {
    for (const [rng, share] of [[latest, 1], [middleRng, 0.5]] as const) {
      const { clock, hub, events } = start({ rng, isDown: true });
      await until(() => events.length === 1);
      const pausesMs = [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000];
      let nowMs = 0;
      for (const pauseMs of pausesMs) await pass(clock, pauseMs * share);
      expect(hub.dials.map((ms) => Math.round(ms)))
        .toEqual([0, ...pausesMs.map((pauseMs) => nowMs += pauseMs * share)]);
      expect(events).toEqual(hub.dials.map(() => "disconnect: The server cannot be reached"));
    }
  });

  it("starts over after a connection that lasted, and not after one that was cut off at once", async () => {
    const { client, clock, hub } = start({ rng: latest, isDown: true });
    for (const pauseMs of [500, 1000, 2000]) await pass(clock, pauseMs);
    hub.isDown = false;
    await pass(clock, 4000);
    await until(() => client.isConnected);
    hub.stop();
    await pass(clock, 7999);
    expect(hub.dials).toHaveLength(5);
    hub.isDown = false;
    await pass(clock, 1);
    await until(() => client.isConnected);
    for (const ms of [10_000, 20_000, 10_000]) await pass(clock, ms);
    hub.stop();
    await pass(clock, 499);
    expect(hub.dials).toHaveLength(6);
    await pass(clock, 1);
    expect(hub.dials).toHaveLength(7);
  });

  it("closed, it calls nothing, dials nothing and leaves nothing waiting", async () => {
    const { client, clock, hub, events } = start();
    await until(() => client.isConnected);
    client.close();
    hub.deliver({ type: "publish", topic: "topic", from: "a", to: null });
    await pass(clock, 100_000);
    expect(events).toEqual(["connect"]);
    expect(hub.dials).toHaveLength(1);
    expect(clock.numSleepers).toBe(0);

    const other = start({ isDown: true });
    await until(() => other.events.length === 1);
    other.client.close();
    await pass(other.clock, 100_000);
    expect(other.hub.dials).toHaveLength(1);
    expect(other.clock.numSleepers).toBe(0);
  });
});

function start(options: { rng?: Rng; isDown?: boolean; isMute?: boolean } = {}) {
  const hub = new FakeHub();
  hub.isDown = options.isDown ?? false;
  hub.isMute = options.isMute ?? false;
  const clock = new ManualClock();
  hub.now = () => clock.now();
  const events: string[] = [];
  const heard: Publication[] = [];
  const client = new SignalingClient({
    ...{ url: "ws://hub/signaling", topic: "topic", clock, openSocket: hub.openSocket },
    rng: options.rng ?? middleRng,
    listener: {
      onConnect: () => events.push("connect"),
      onDisconnect: (reason) => events.push(`disconnect: ${reason}`),
      onPublication: (publication) => heard.push(publication),
      onGarbage: () => events.push("garbage"),
    },
  });
  closers.push(() => client.close());
  return { hub, clock, events, heard, client };
}

/** Lets time pass, and everything happen that follows from it. */
async function pass(clock: ManualClock, ms: number): Promise<void> {
  await settle();
  clock.advance(ms);
  await settle();
}

function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
