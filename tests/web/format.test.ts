import { expect, test } from "vitest";
import { formatBytes, formatMemory, formatRate, formatWait } from "../../web/src/format.ts";

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1_000, "1 kB"],
  [94_123_456, "94.1 MB"],
  [999_949_999, "1,000 MB"],
  [999_950_000, "1.00 GB"],
  [58.3e12, "58.3 TB"],
  [5e18, "5,000,000 TB"],
])("formatBytes(%d)", (bytes, text) => expect(formatBytes(bytes)).toBe(text));

test.each([
  [2 ** 28, "256 MiB"],
  [2 ** 30, "1 GiB"],
  [2 ** 31 + 2 ** 28, "2.25 GiB"],
])("formatMemory(%d)", (bytes, text) => expect(formatMemory(bytes)).toBe(text));

test.each([
  [0, "0.0"],
  [9.94, "9.9"],
  [31.7, "32"],
  [1204, "1,204"],
])("formatRate(%d)", (rate, text) => expect(formatRate(rate)).toBe(text));

test.each([
  [4, "less than a minute"],
  [61, "about a minute"],
  [600, "about 10 minutes"],
  [9_000, "about 3 hours"],
])("formatWait(%d)", (seconds, text) => expect(formatWait(seconds)).toBe(text));
