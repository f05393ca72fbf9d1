/**
 * Yields from several generators whatever comes first. Asks a source for its next value only after
 * the last one was taken, so that a slow consumer slows every source. Returning closes them all;
 * an error of one closes the others.
 */
export async function* merge<T>(sources: readonly AsyncGenerator<T>[]): AsyncGenerator<T> {
  const ready: { source: AsyncGenerator<T>; result: IteratorResult<T, unknown> }[] = [];
  let failure: { error: unknown } | undefined;
  let wake = () => {};
  const advance = (source: AsyncGenerator<T>) =>
    void source.next().then(
      (result) => ready.push({ source, result }),
      (error) => failure ??= { error },
    ).then(() => wake());

  let numOpen = sources.length;
  try {
    sources.forEach(advance);
    while (numOpen > 0) {
      if (failure !== undefined) throw failure.error;
      const next = ready.shift();
      if (next === undefined) {
        await new Promise<void>((resolve) => wake = resolve);
      } else if (next.result.done) {
        numOpen -= 1;
      } else {
        yield next.result.value;
        advance(next.source);
      }
    }
  } finally {
    for (const source of sources) void source.return(undefined).catch(() => {});
  }
}
