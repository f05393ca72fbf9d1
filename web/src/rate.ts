/** A counter's readings over the last seconds. */
export interface Rate {
  /** Oldest first. */
  readonly readings: readonly { readonly atMs: number; readonly count: number }[];
  /** Per second; 0 until there are two readings. */
  readonly perS: number;
}

export const NO_RATE: Rate = { readings: [], perS: 0 };

const WINDOW_MS = 5_000;

/** The rate with one more reading of the counter. A counter that went back starts anew. */
export function withReading(
  rate: Rate,
  reading: { readonly atMs: number; readonly count: number },
): Rate {
  const newest = rate.readings.at(-1);
  if (newest !== undefined && reading.count < newest.count) {
    return { readings: [reading], perS: 0 };
  }
  const kept = rate.readings.filter(({ atMs }) => reading.atMs - atMs <= WINDOW_MS);
  const readings = [...kept, reading];
  const oldest = readings[0] ?? reading;
  const spanMs = reading.atMs - oldest.atMs;
  return { readings, perS: spanMs > 0 ? ((reading.count - oldest.count) * 1000) / spanMs : 0 };
}
