import { describe, expect, test } from "vitest";
import { ScreenWakeLock } from "../../web/src/screen_wake_lock.ts";

describe("ScreenWakeLock", () => {
  test("is asked for again whenever the page is shown, until it is released", async () => {
    const { lock, sentinels, show, hide, settle } = makePage();
    lock.hold();
    lock.hold();
    await settle();
    expect(sentinels.length).toBe(1);
    hide();
    await settle();
    show();
    await settle();
    expect(sentinels.map(({ released }) => released)).toEqual([true, false]);
    lock.release();
    show();
    await settle();
    expect(sentinels.map(({ released }) => released)).toEqual([true, true]);
  });

  test("a lock that is granted after the release is let go", async () => {
    const { lock, sentinels, settle } = makePage();
    lock.hold();
    lock.release();
    await settle();
    expect(sentinels.map(({ released }) => released)).toEqual([true]);
  });

  test("a refusal is taken, and asked about again when the page is shown", async () => {
    const { lock, sentinels, show, settle, refuseOnce } = makePage();
    refuseOnce();
    lock.hold();
    await settle();
    expect(sentinels).toEqual([]);
    show();
    await settle();
    expect(sentinels.length).toBe(1);
  });
});

/** A page that can be hidden, which drops the lock as browsers do. */
function makePage() {
  const sentinels: { released: boolean; release(): Promise<void> }[] = [];
  const listeners = new Set<() => void>();
  let isRefusing = false;
  const document = {
    visibilityState: "visible" as DocumentVisibilityState,
    addEventListener: (_: string, listener: () => void) => listeners.add(listener),
    removeEventListener: (_: string, listener: () => void) => listeners.delete(listener),
  };
  const request = () => {
    if (isRefusing) {
      isRefusing = false;
      return Promise.reject(new DOMException("Low battery", "NotAllowedError"));
    }
    const sentinel = {
      released: false,
      release: () => Promise.resolve(void (sentinel.released = true)),
    };
    sentinels.push(sentinel);
    return Promise.resolve(sentinel);
  };
  const change = (state: DocumentVisibilityState) => {
    document.visibilityState = state;
    for (const listener of [...listeners]) listener();
  };
  return {
    lock: new ScreenWakeLock(
      { request } as unknown as WakeLock,
      document,
    ),
    sentinels,
    show: () => change("visible"),
    hide: () => {
      for (const sentinel of sentinels) sentinel.released = true;
      change("hidden");
    },
    refuseOnce: () => isRefusing = true,
    settle: () => new Promise((resolve) => setTimeout(resolve)),
  };
}
