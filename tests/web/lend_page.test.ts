import { describe, expect, test } from "vitest";
import type { PeerView } from "../../src/peer/peer_view.ts";
import type { Clock } from "../../src/platform/platform.ts";
import type { HostedStage, LoadRequest, StageHost } from "../../src/stage/stage_host.ts";
import { GpuMemoryError } from "../../src/gpu/context.ts";
import { Consent } from "../../web/src/consent.ts";
import { LendPage } from "../../web/src/lend_page.ts";
import { ScreenWakeLock } from "../../web/src/screen_wake_lock.ts";
import { readSettings } from "../../web/src/settings.ts";
import type { OpenedHost } from "../../web/src/stage_host_server.ts";
import type { TextStore } from "../../web/src/text_store.ts";
import { WeightStorage } from "../../web/src/weight_storage.ts";
import { PAGE_STATES, PEER_VIEW } from "./page_states.ts";

const { adapter, memory, settings } = PAGE_STATES["asking"]!;
const FOUND = { adapter: adapter!, memory, settings };
const LOAD_MEANS = { readFromCoordinator: () => Promise.reject(new Error("Not expected")) };

describe("LendPage", () => {
  test("touches neither GPU nor network nor storage before it was agreed to", async () => {
    const world = makeWorld();
    await world.page.start(FOUND);
    expect(world.screen()).toBe("asking");
    expect(world.log).toEqual([]);
  });

  test("after agreeing keeps the choice, asks for lasting storage, opens, joins and serves", async () => {
    const world = makeWorld();
    await world.page.start(FOUND);
    world.page.lend({ name: "desk", memoryBytes: memory.minBytes });
    expect(world.screen()).toBe("testing");
    await world.settle();
    expect(world.screen()).toBe("lending");
    expect(world.log).toEqual(["persist", "open", "join desk"]);
    expect(readSettings(world.settingsStore)).toEqual({
      name: "desk",
      memoryBytes: memory.minBytes,
    });
    world.show({ state: "serving", tokensPerS: 4 });
    expect(world.page.state.value.peer?.tokensPerS).toBe(4);
    expect(world.log.at(-1)).toBe("screen on");
    world.page.pause();
    world.show({ state: "paused" });
    expect(world.log.slice(-2)).toEqual(["pause", "screen off"]);
    world.page.resume();
    expect(world.log.at(-1)).toBe("resume");
  });

  test("leaving says goodbye before the device goes, and asks again after a reload", async () => {
    const world = await lendingWorld();
    world.page.leave();
    await world.settle();
    expect(world.log.slice(-2)).toEqual(["leave", "close"]);
    expect(world.screen()).toBe("left");
    expect(world.consent.isGiven).toBe(false);
  });

  test("a reload in a tab that agreed goes on without asking", async () => {
    const world = makeWorld();
    world.consent.give();
    await world.page.start(FOUND);
    await world.settle();
    expect(world.screen()).toBe("lending");
  });

  test("goodbye gives everything back at once; a page that returns starts anew", async () => {
    const world = await lendingWorld();
    world.page.goodbye();
    expect(world.log.slice(-2)).toEqual(["leave", "close"]);
    world.log.length = 0;
    world.page.return();
    await world.settle();
    expect(world.log).toEqual(["persist", "open", "join Chrome on Windows"]);
    expect(world.screen()).toBe("lending");
  });

  test("a page that returns without having lent only shows what it showed", async () => {
    const world = makeWorld();
    await world.page.start(FOUND);
    world.page.goodbye();
    world.page.return();
    await world.settle();
    expect(world.screen()).toBe("asking");
    expect(world.log).toEqual([]);
  });

  test("a lost device tells the mesh why and offers to start again", async () => {
    const world = await lendingWorld();
    world.lose(new Error("driver reset"));
    await world.settle();
    expect(world.problem()).toEqual({ type: "device-lost", reason: "driver reset" });
    expect(world.reasons).toEqual(["The GPU stopped"]);
    world.page.startAgain();
    await world.settle();
    expect(world.screen()).toBe("lending");
  });

  test("a load that does not fit keeps the page in the mesh, where a smaller one may come", async () => {
    const world = await lendingWorld();
    const load = world.lent!.load({} as LoadRequest, LOAD_MEANS);
    await expect(load).rejects.toThrow("no room");
    world.show({ state: "waiting", note: "no room" });
    expect(world.screen()).toBe("lending");
    expect(world.page.state.value.peer?.note).toBe("no room");
    expect(world.log).not.toContain("leave");
  });

  test("a refusal ends the lending and says why", async () => {
    const world = await lendingWorld();
    world.show({ state: "refused", note: "You speak protocol 2" });
    expect(world.problem()).toEqual({ type: "refused", reason: "You speak protocol 2" });
    expect(world.log.slice(-2)).toEqual(["leave", "close"]);
  });

  test("a device that fails its test is not joined with", async () => {
    const world = makeWorld({ openError: new Error("rms_norm gives 0") });
    await world.page.start(FOUND);
    world.page.lend(settings);
    await world.settle();
    expect(world.problem()).toEqual({ type: "unfit", reason: "rms_norm gives 0" });
    expect(world.log).toEqual(["persist", "open"]);
  });

  test("leaving while the device opens closes it when it is there", async () => {
    const world = makeWorld();
    await world.page.start(FOUND);
    world.page.lend(settings);
    world.page.leave();
    await world.settle();
    expect(world.screen()).toBe("left");
    expect(world.log).toEqual(["persist", "open", "close"]);
  });

  test("weights are deleted, and where another tab uses them that is said", async () => {
    const world = makeWorld();
    await world.page.start(FOUND);
    world.page.deleteWeights();
    await world.settle();
    expect(world.log).toEqual(["delete weights"]);
    expect(world.page.state.value.storageNote).toBe("The weights are deleted");
    world.refuseDelete();
    world.page.deleteWeights();
    await world.settle();
    expect(world.page.state.value.storageNote).toContain("in use");
  });
});

async function lendingWorld() {
  const world = makeWorld();
  await world.page.start(FOUND);
  world.page.lend(settings);
  await world.settle();
  return world;
}

/** A page with a device, a mesh and a browser that write down what is done with them. */
function makeWorld({ openError }: { readonly openError?: Error } = {}) {
  const log: string[] = [];
  const reasons: string[] = [];
  let view: PeerView = PEER_VIEW;
  let tell = () => {};
  let lost = Promise.withResolvers<Error>();
  let canDelete = true;
  const settingsStore = mapStore();
  const consent = new Consent(mapStore(), "room");
  const world = { lent: null as StageHost | null };
  const page = new LendPage({
    openHost: () => {
      log.push("open");
      if (openError !== undefined) return Promise.reject(openError);
      lost = Promise.withResolvers<Error>();
      return Promise.resolve(fakeOpened(lost.promise, () => log.push("close")));
    },
    startPeer: ({ settings, host }) => {
      log.push(`join ${settings.name}`);
      world.lent = host;
      return Promise.resolve({
        view: () => view,
        onChange: (listener) => {
          tell = listener;
          return () => tell = () => {};
        },
        pause: () => Promise.resolve(void log.push("pause")),
        resume: () => void log.push("resume"),
        leave: (reason = "") => {
          log.push("leave");
          reasons.push(reason);
          return Promise.resolve();
        },
      });
    },
    consent,
    settingsStore,
    storage: new WeightStorage(fakeStorage(log, () => canDelete), "weights"),
    wakeLock: fakeWakeLock(log),
    clock: STOPPED_CLOCK,
  });
  return Object.assign(world, {
    page,
    log,
    reasons,
    consent,
    settingsStore,
    screen: () => page.state.value.screen.type,
    problem: () => {
      const { screen } = page.state.value;
      return screen.type === "problem" ? screen.problem : null;
    },
    show: (changes: Partial<PeerView>) => {
      view = { ...view, ...changes };
      tell();
    },
    lose: (error: Error) => lost.resolve(error),
    refuseDelete: () => canDelete = false,
    /** Lets everything run that waits for nothing but promises. */
    settle: () => new Promise((resolve) => setTimeout(resolve)),
  });
}

function fakeOpened(lost: Promise<Error>, onClose: () => void): OpenedHost {
  const host: StageHost = {
    device: PAGE_STATES["serving"]!.device!,
    lost,
    load: () => Promise.reject<HostedStage>(new GpuMemoryError("no room")),
    close: onClose,
  };
  return { host, warnings: [], heldFiles: () => Promise.resolve([]) };
}

/** Its time stands still; what sleeps ends with its signal only. */
const STOPPED_CLOCK: Clock = {
  now: () => 0,
  sleep: (_, signal) =>
    new Promise((_, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason));
    }),
};

function mapStore(): TextStore {
  const map = new Map<string, string>();
  return {
    getItem: (key) => map.get(key) ?? null,
    setItem: (key, value) => void map.set(key, value),
    removeItem: (key) => void map.delete(key),
  };
}

function fakeStorage(log: string[], canDelete: () => boolean): StorageManager {
  const removeEntry = (name: string) => {
    if (!canDelete()) return Promise.reject(new DOMException("locked", "NoModificationAllowed"));
    return Promise.resolve(void log.push(`delete ${name}`));
  };
  return {
    estimate: () => Promise.resolve({ usage: 1, quota: 2 }),
    persisted: () => Promise.resolve(false),
    persist: () => Promise.resolve(log.push("persist") > 0),
    getDirectory: () => Promise.resolve({ removeEntry } as unknown as FileSystemDirectoryHandle),
  };
}

/** Writes down what the page wants; the lock itself has tests of its own. */
function fakeWakeLock(log: string[]): ScreenWakeLock {
  return new ScreenWakeLock(undefined, {
    visibilityState: "visible",
    addEventListener: () => log.push("screen on"),
    removeEventListener: () => {
      if (log.includes("screen on")) log.push("screen off");
    },
  });
}
