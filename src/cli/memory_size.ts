import { InvalidArgumentError } from "commander";

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
};

/** Bytes of a size such as "4GiB", "500 MB" or "6g". Throws an InvalidArgumentError. */
export function memorySize(text: string): number {
  const [, number, unit = ""] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text) ?? [];
  const factor = UNITS[unit.toLowerCase()];
  const bytes = Math.floor(Number(number) * (factor ?? NaN));
  if (Number.isSafeInteger(bytes) && bytes >= 1 << 20) return bytes;
  throw new InvalidArgumentError('Use a size of at least 1 MiB, such as "4GiB" or "500MB"');
}
