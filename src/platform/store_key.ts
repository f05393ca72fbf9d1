/**
 * Keys of a Store.
 *
 * @module
 */

/** Throws unless `key` is a relative path that stays inside the store. */
export function checkStoreKey(key: string): void {
  const parts = key.split("/");
  const isInside = !/[\\\0]/.test(key) && !/^[A-Za-z]:/.test(key) &&
    parts.every((part) => part !== "" && part !== "." && part !== "..");
  if (!isInside) throw new RangeError(`"${key}" is no key: use a relative path without ".."`);
}
