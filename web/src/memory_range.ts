/** Bytes that can be lent, as a slider shows them. */
export interface MemoryRange {
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly stepBytes: number;
  readonly defaultBytes: number;
}

/** What the browser tells of the device's memory. */
export interface MemoryHints {
  /** `navigator.deviceMemory`: GiB of main memory, rounded and cut by the browser; null if untold. */
  readonly deviceMemoryGiB: number | null;
  /** The adapter's `maxBufferSize`. */
  readonly maxBufferBytes: number;
}

export const GIB = 2 ** 30;

const STEP_BYTES = GIB / 4;
const MAX_BYTES = 32 * GIB;
const WANTED_BYTES = 2 * GIB;
/** Browsers tell at most this much, so it may stand for more. */
const TOLD_AT_MOST_GIB = 8;
/** The rest of a device's memory stays for the system and other pages. */
const LENT_SHARE = 0.6;
/** No adapter was seen that holds more than this many of its largest buffers. */
const MAX_BUFFERS = 16;

/**
 * What a device may be asked to lend. WebGPU does not tell a GPU's memory, so the largest buffer and
 * the main memory stand for it, and the person knows better.
 */
export function memoryRange({ deviceMemoryGiB, maxBufferBytes }: MemoryHints): MemoryRange {
  const isMemoryKnown = deviceMemoryGiB !== null && deviceMemoryGiB < TOLD_AT_MOST_GIB;
  const sharedBytes = isMemoryKnown ? deviceMemoryGiB * GIB * LENT_SHARE : MAX_BYTES;
  const bytes = Math.min(MAX_BYTES, sharedBytes, maxBufferBytes * MAX_BUFFERS);
  const maxBytes = Math.max(STEP_BYTES, toStep(bytes));
  return {
    minBytes: STEP_BYTES,
    maxBytes,
    stepBytes: STEP_BYTES,
    defaultBytes: Math.min(WANTED_BYTES, maxBytes),
  };
}

/** The choice nearest to `bytes`. */
export function clampMemory(bytes: number, { minBytes, maxBytes }: MemoryRange): number {
  return Math.min(maxBytes, Math.max(minBytes, toStep(bytes)));
}

function toStep(bytes: number): number {
  return Math.floor(bytes / STEP_BYTES) * STEP_BYTES;
}
