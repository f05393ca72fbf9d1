import type { DeviceReport } from "../../src/stage/stage_host.ts";
import type { AdapterSummary } from "./adapter_summary.ts";
import { formatCount, formatMemory } from "./format.ts";

/** What the GPU is, and once it was measured how fast. */
export function AdapterCard({ adapter, device, warnings }: {
  readonly adapter: AdapterSummary;
  readonly device: DeviceReport | null;
  readonly warnings: readonly string[];
}) {
  return (
    <section class="card small" aria-labelledby="adapter-title">
      <h2 id="adapter-title">Your GPU</h2>
      <p class="adapter-name">{adapter.name}</p>
      {adapter.isSoftware && <p class="software">Software: it computes on the processor</p>}
      <dl class="facts">
        <Fact name="Vendor" value={adapter.vendor || "not told"} />
        <Fact name="Architecture" value={adapter.architecture || "not told"} />
        <Fact name="16-bit floats" value={adapter.hasF16 ? "yes" : "no"} />
        <Fact name="Subgroups" value={subgroupText(adapter.subgroups)} />
        <Fact name="Largest buffer" value={formatMemory(adapter.maxBufferBytes)} />
        <Fact name="Largest binding" value={formatMemory(adapter.maxBindingBytes)} />
        {device !== null && (
          <>
            <Fact name="Memory reads" value={`${formatSpeed(device.readGBps)} GB/s`} />
            <Fact name="Matrix math" value={`${formatSpeed(device.matmulGflops)} GFLOP/s`} />
          </>
        )}
      </dl>
      {warnings.map((warning) => <p class="hint" key={warning}>{warning}</p>)}
    </section>
  );
}

function Fact({ name, value }: { readonly name: string; readonly value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function subgroupText(subgroups: AdapterSummary["subgroups"]): string {
  if (subgroups === null) return "no";
  const { minSize, maxSize } = subgroups;
  return minSize === maxSize ? `${minSize} lanes` : `${minSize} to ${maxSize} lanes`;
}

function formatSpeed(value: number): string {
  return value < 10 ? value.toFixed(1) : formatCount(value);
}
