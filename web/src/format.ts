/**
 * Numbers as people read them, in the form of the page's language.
 *
 * @module
 */
import { GIB } from "./memory_range.ts";

const LOCALE = "en";
const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** Bytes that are moved or kept, in powers of 1000: "94.1 MB". */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // 999.95 would be shown as 1,000.
  while (value >= 999.95 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${withDigits(value, unit < 2 ? 0 : digits)} ${UNITS[unit]}`;
}

/** Memory of a device, in powers of 1024: "2 GiB", "512 MiB". */
export function formatMemory(bytes: number): string {
  return bytes >= GIB
    ? `${new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 2 }).format(bytes / GIB)} GiB`
    : `${withDigits(bytes / 2 ** 20, 0)} MiB`;
}

/** "0.4", "7.3", "12", "1,204". */
export function formatRate(perS: number): string {
  return withDigits(perS, perS < 9.95 ? 1 : 0);
}

export function formatCount(count: number): string {
  return withDigits(count, 0);
}

/** A time to wait, roughly: "under a minute", "about 3 minutes". */
export function formatWait(seconds: number): string {
  if (seconds < 60) return "less than a minute";
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return minutes === 1 ? "about a minute" : `about ${minutes} minutes`;
  return `about ${Math.round(minutes / 60)} hours`;
}

function withDigits(value: number, digits: number): string {
  return new Intl.NumberFormat(LOCALE, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(value);
}
