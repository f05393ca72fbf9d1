/**
 * An entry of a Store as a ByteSource: a file, when the store is a folder.
 *
 * @module
 */
import type { ByteOrigin, ByteSource } from "../formats/byte_source.ts";
import type { Store } from "../platform/platform.ts";

/** Opens `key`, or null when the store has no such entry. Errors call it `name`. */
export async function openStoreSource(
  store: Store,
  key: string,
  { name = key, origin }: { name?: string; origin?: ByteOrigin } = {},
): Promise<ByteSource | null> {
  const size = await store.size(key);
  if (size === null) return null;
  return {
    name,
    size,
    ...(origin && { origin }),
    read: (start, end) => store.read(key, { start, end }),
    close: () => Promise.resolve(),
  };
}
