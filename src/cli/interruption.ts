/** A wish to stop, by signal. */
export interface Interruption {
  /** Resolves at the first SIGINT or SIGTERM. */
  readonly requested: Promise<"interrupted">;
  readonly isRequested: boolean;
  /** Stops listening. */
  end(): void;
}

/** The first signal asks, and `message` is shown; the second ends the process with 130. */
export function interruption(message: string): Interruption {
  const { promise, resolve } = Promise.withResolvers<"interrupted">();
  const names: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  let isRequested = false;
  const onSignal = () => {
    if (isRequested) Deno.exit(130);
    isRequested = true;
    console.error(message);
    resolve("interrupted");
  };
  for (const name of names) Deno.addSignalListener(name, onSignal);
  return {
    requested: promise,
    get isRequested() {
      return isRequested;
    },
    end: () => names.forEach((name) => Deno.removeSignalListener(name, onSignal)),
  };
}
