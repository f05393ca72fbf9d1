import type { TextStore } from "./text_store.ts";

/** What a person chose, kept by the browser. */
export interface Settings {
  readonly name: string;
  readonly memoryBytes: number;
}

export const MAX_NAME_LENGTH = 40;

const KEY = "tessera.lend";

/** The choice of last time; null when there was none or it cannot be read. */
export function readSettings(store: TextStore): Settings | null {
  try {
    const value: unknown = JSON.parse(store.getItem(KEY) ?? "null");
    if (typeof value !== "object" || value === null) return null;
    const { name, memoryBytes } = value as Partial<Record<keyof Settings, unknown>>;
    if (typeof name !== "string" || typeof memoryBytes !== "number") return null;
    if (!Number.isFinite(memoryBytes)) return null;
    return { name: tidyName(name), memoryBytes };
  } catch {
    // Not JSON.
    return null;
  }
}

/** Keeps the choice for next time. */
export function writeSettings(store: TextStore, settings: Settings): void {
  store.setItem(KEY, JSON.stringify(settings));
}

/** One line of at most MAX_NAME_LENGTH characters. */
export function tidyName(name: string): string {
  return [...name.replace(/\p{C}+/gu, " ").replace(/\s+/g, " ").trim()]
    .slice(0, MAX_NAME_LENGTH).join("").trim();
}

const BROWSERS = [
  { name: "Edge", pattern: /\bEdg/ },
  { name: "Firefox", pattern: /\b(Firefox|FxiOS)\// },
  { name: "Chrome", pattern: /\b(Chrome|Chromium|CriOS)\// },
  { name: "Safari", pattern: /\bSafari\// },
];

const SYSTEMS = [
  { name: "Android", pattern: /Android/ },
  { name: "iPhone", pattern: /iPhone/ },
  { name: "iPad", pattern: /iPad/ },
  { name: "Windows", pattern: /Windows/ },
  { name: "Mac", pattern: /Mac OS X|Macintosh/ },
  { name: "Chromebook", pattern: /CrOS/ },
  { name: "Linux", pattern: /Linux/ },
];

/** A name to start from, such as "Firefox on Mac". For show only: nothing depends on it. */
export function suggestName(userAgent: string): string {
  const find = (list: typeof BROWSERS) => list.find(({ pattern }) => pattern.test(userAgent))?.name;
  return `${find(BROWSERS) ?? "Browser"} on ${find(SYSTEMS) ?? "a device"}`;
}
