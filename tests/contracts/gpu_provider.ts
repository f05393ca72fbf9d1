/** What every GpuProvider does. Runs in every runtime: it needs no test runner. */
import { allocate } from "../../src/gpu/buffer.ts";
import {
  chooseAdapter,
  type GpuCapabilities,
  type GpuContext,
  openContext,
} from "../../src/gpu/context.ts";
import { ProgramCache } from "../../src/gpu/program.ts";
import { ReadbackRing } from "../../src/gpu/readback_ring.ts";
import { Recorder } from "../../src/gpu/recorder.ts";
import { selfTest } from "../../src/kernels/self_test.ts";
import type { GpuProvider } from "../../src/platform/platform.ts";

/** What was found, as plain data that can cross processes. */
export interface GpuProviderReport {
  /** In the order of the list. */
  readonly adapters: readonly { readonly backend: string; readonly isSoftware: boolean }[];
  /** Of the device that was opened; null when none could be. */
  readonly capabilities: GpuCapabilities | null;
  /** What the adapter warns of, then what the kernel self-test turned off. */
  readonly warnings: readonly string[];
  /** Every check that was passed, in order. */
  readonly passed: readonly string[];
  /** Why the check after those failed; null when none did. */
  readonly problem: string | null;
}

/** The checks, in order: each builds on those before it. */
export const GPU_PROVIDER_CHECKS = [
  "lists adapters, hardware first",
  "lists adapters again",
  "opens a device",
  "waits for promises, resolved and rejected",
  "runs a kernel and reads it back",
  "passes the kernel self-test",
  "tells when the device is gone",
] as const;

const NUM_ELEMENTS = 1000;

/** x[i] = 3 x[i] + 1, which no missing dispatch and no second one gives. */
const AFFINE = {
  name: "affine",
  source: `
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(64)
fn affine(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < COUNT) { x[id.x] = 3u * x[id.x] + 1u; }
}
`,
};

/** Checks `provider` with the adapter it calls the best, up to the first check that fails. */
export async function checkGpuProvider(provider: GpuProvider): Promise<GpuProviderReport> {
  const passed: string[] = [];
  const warnings: string[] = [];
  let adapters: GpuProviderReport["adapters"] = [];
  let capabilities: GpuCapabilities | null = null;
  const pass = () => passed.push(GPU_PROVIDER_CHECKS[passed.length]!);
  try {
    const choices = await provider.listAdapters();
    adapters = choices.map(({ backend, isSoftware }) => ({ backend, isSoftware }));
    const firstSoftware = adapters.findIndex(({ isSoftware }) => isSoftware);
    const lastHardware = adapters.findLastIndex(({ isSoftware }) => !isSoftware);
    assert(firstSoftware < 0 || firstSoftware > lastHardware, "a software adapter comes too early");
    const choice = chooseAdapter(choices);
    if (choice.warning !== undefined) warnings.push(choice.warning);
    pass();

    assert((await provider.listAdapters()).length === choices.length, "the list changed");
    pass();

    const context = await openContext(choice);
    capabilities = context.capabilities;
    assert(capabilities.backend === choice.backend, "the device has another backend");
    pass();

    await checkWait(context);
    pass();

    await checkRoundTrip(context);
    pass();

    warnings.push(...(await selfTest(context)).warnings);
    pass();

    context.destroy();
    const lost = await context.wait(context.lost);
    assert(lost.name === "GpuLostError", `the device is lost with ${lost}`);
    pass();
    return { adapters, capabilities, warnings, passed, problem: null };
  } catch (error) {
    const problem = `${GPU_PROVIDER_CHECKS[passed.length]}: ${error}`;
    return { adapters, capabilities, warnings, passed, problem };
  }
}

async function checkWait(context: GpuContext): Promise<void> {
  assert(await context.wait(Promise.resolve(7), "check") === 7, "wait() loses the value");
  const reason = new Error("expected");
  const caught = await context.wait(Promise.reject(reason), "check").catch((error) => error);
  assert(caught === reason, "wait() loses the reason");
  await context.wait(context.device.queue.onSubmittedWorkDone());
}

async function checkRoundTrip(context: GpuContext): Promise<void> {
  const programs = new ProgramCache(context, {});
  const program = programs.get(AFFINE, { COUNT: NUM_ELEMENTS });
  await programs.compiled();
  const words = Uint32Array.from({ length: NUM_ELEMENTS }, (_, i) => i);
  const buffer = await allocate(context, { label: "round trip", sizeBytes: words.byteLength });
  context.device.queue.writeBuffer(buffer, 0, words);
  const ring = new ReadbackRing(context);
  const readback = await ring.reserve(buffer, words.byteLength);
  const recorder = new Recorder(context);
  const workgroups = [Math.ceil(NUM_ELEMENTS / 64), 1, 1] as const;
  recorder.submit(recorder.record([{ program, bindings: [buffer], workgroups }]), [readback.copy]);
  const result = new Uint32Array(await readback.read());
  ring.destroy();
  buffer.destroy();
  const wrong = result.findIndex((value, i) => value !== 3 * i + 1);
  assert(wrong < 0, `element ${wrong} is ${result[wrong]} instead of ${3 * wrong + 1}`);
}

function assert(isTrue: boolean, problem: string): asserts isTrue {
  if (!isTrue) throw new Error(problem);
}
