/**
 * What a run must not touch: the computer's own time, chance and network. Everything comes in
 * through the seams, or the same seed would not give the same run.
 *
 * @module
 */

/** By the object that holds them. */
const FORBIDDEN: readonly (readonly [object, readonly string[]])[] = [
  [globalThis, ["setTimeout", "setInterval", "setImmediate", "fetch", "WebSocket", "Date"]],
  [Date, ["now"]],
  [performance, ["now"]],
  [Math, ["random"]],
  [crypto, ["getRandomValues", "randomUUID", "subtle"]],
  [AbortSignal, ["timeout"]],
];

/** Runs `run` while everything ambient throws. */
export async function withoutAmbient<T>(run: () => Promise<T>): Promise<T> {
  const restore = FORBIDDEN.flatMap(([holder, names]) => names.map((name) => forbid(holder, name)));
  try {
    return await run();
  } finally {
    for (const back of restore) back();
  }
}

function forbid(holder: object, name: string): () => void {
  const own = Object.getOwnPropertyDescriptor(holder, name);
  function thrown() {
    throw new Error(
      `"${name}" was used in a simulated run: time, chance and network are passed in`,
    );
  }
  thrown.now = thrown;
  const isMethod = typeof own?.value === "function";
  Object.defineProperty(
    holder,
    name,
    isMethod
      ? { value: thrown, configurable: true, writable: true }
      : { get: thrown, configurable: true },
  );
  return () => {
    if (own === undefined) Reflect.deleteProperty(holder, name);
    else Object.defineProperty(holder, name, own);
  };
}
