import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  MAX_NAME_LENGTH,
  readSettings,
  suggestName,
  tidyName,
  writeSettings,
} from "../../web/src/settings.ts";
import { type TextStore, tolerantStore } from "../../web/src/text_store.ts";

describe("settings", () => {
  test("come back as they were kept", () => {
    const store = storeOf(null);
    expect(readSettings(store)).toBeNull();
    writeSettings(store, { name: "desk", memoryBytes: 2 ** 31 });
    expect(readSettings(store)).toEqual({ name: "desk", memoryBytes: 2 ** 31 });
  });

  test("whatever is stored, reading gives usable settings or none", () => {
    const texts = fc.oneof(fc.string(), fc.json(), fc.constant('{"name":"x","memoryBytes":"1"}'));
    fc.assert(fc.property(texts, (text) => {
      const settings = readSettings(storeOf(text));
      if (settings === null) return;
      expect(Number.isFinite(settings.memoryBytes)).toBe(true);
      expect(settings.name).toBe(tidyName(settings.name));
    }));
    expect(readSettings(storeOf('{"name":"x","memoryBytes":"1"}'))).toBeNull();
    expect(readSettings(storeOf('{"name":"  a\\nb ","memoryBytes":5}'))?.name).toBe("a b");
  });

  test("a browser that forbids storing is one that stored nothing", () => {
    const store = tolerantStore(() => {
      throw new DOMException("Forbidden", "SecurityError");
    });
    writeSettings(store, { name: "desk", memoryBytes: 1 });
    store.removeItem("x");
    expect(readSettings(store)).toBeNull();
  });
});

describe("tidyName()", () => {
  test("gives one line without control characters, no longer than the limit", () => {
    expect(tidyName(" Ada's\t\u0007 \u202elaptop ")).toBe("Ada's laptop");
    expect([...tidyName("🦊".repeat(100))].length).toBe(MAX_NAME_LENGTH);
  });
});

describe("suggestName()", () => {
  test.each([
    [
      "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) " +
      "Chrome/140.0.0.0 Safari/537.36",
      "Chrome on Windows",
    ],
    [
      "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) " +
      "Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
      "Edge on Windows",
    ],
    [
      "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:145.0) Gecko/20100101 Firefox/145.0",
      "Firefox on Mac",
    ],
    [
      "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like " +
      "Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
      "Safari on iPhone",
    ],
    [
      "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36",
      "Chrome on Android",
    ],
    ["curl/8", "Browser on a device"],
  ])("%s", (userAgent, name) => expect(suggestName(userAgent)).toBe(name));
});

function storeOf(text: string | null): TextStore {
  let kept = text;
  return {
    getItem: () => kept,
    setItem: (_, value) => void (kept = value),
    removeItem: () => void (kept = null),
  };
}
