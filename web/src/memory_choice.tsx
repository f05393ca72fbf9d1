import { formatBytes, formatMemory } from "./format.ts";
import type { MemoryRange } from "./memory_range.ts";

/** A slider for the memory to lend. */
export function MemoryChoice({ range, quotaBytes, value, onChange }: {
  readonly range: MemoryRange;
  /** What the browser lets the page keep; null when it does not tell. */
  readonly quotaBytes: number | null;
  readonly value: number;
  readonly onChange: (bytes: number) => void;
}) {
  const { minBytes, maxBytes, stepBytes } = range;
  const share = maxBytes > minBytes ? (value - minBytes) / (maxBytes - minBytes) : 1;
  return (
    <div class="field">
      <div class="field-head">
        <label for="memory">GPU memory to lend</label>
        <output for="memory">{formatMemory(value)}</output>
      </div>
      <input
        id="memory"
        type="range"
        min={minBytes}
        max={maxBytes}
        step={stepBytes}
        value={value}
        disabled={maxBytes === minBytes}
        aria-valuetext={formatMemory(value)}
        aria-describedby="memory-hint"
        style={{ "--share": `${share * 100}%` }}
        onInput={(event) => onChange(event.currentTarget.valueAsNumber)}
      />
      <div class="ends" aria-hidden="true">
        <span>{formatMemory(minBytes)}</span>
        <span>{formatMemory(maxBytes)}</span>
      </div>
      <small id="memory-hint">
        {quotaBytes !== null && quotaBytes < value
          ? `The browser keeps at most ${
            formatBytes(quotaBytes)
          }; the rest is downloaded each time.`
          : "At most this much. Leave some for what else you do on this device."}
      </small>
    </div>
  );
}
