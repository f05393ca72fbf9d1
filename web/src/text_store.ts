/** The part of `localStorage` and `sessionStorage` that is used. */
export type TextStore = Pick<Storage, "getItem" | "setItem" | "removeItem">;

/** The store that `open` returns, seeming empty where the person lets sites keep nothing. */
export function tolerantStore(open: () => TextStore): TextStore {
  return {
    getItem: (key) => tolerantly(() => open().getItem(key)) ?? null,
    setItem: (key, value) => tolerantly(() => open().setItem(key, value)),
    removeItem: (key) => tolerantly(() => open().removeItem(key)),
  };
}

function tolerantly<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch {
    // Forbidden or full: the page asks again next time.
    return undefined;
  }
}
