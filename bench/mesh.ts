/**
 * What it costs to run a model on several machines: hops, slow paths, and how well stages overlap.
 *
 * @module
 */
import type { GpuContext } from "../src/gpu/context.ts";
import type { PeerLink } from "../src/mesh/peer_link.ts";
import type { HiddenType } from "../src/pipeline/hidden_wire.ts";
import { openBenchDevice } from "./bench_device.ts";
import { round } from "./cost.ts";
import { BenchMesh } from "./mesh/bench_mesh.ts";
import { compareWithGoal, type Goal } from "./mesh/goal.ts";
import { measureHop } from "./mesh/hop.ts";
import { openWaitPipeline } from "./mesh/pipeline_rate.ts";
import { measureOneWay, measureThroughput } from "./mesh_links.ts";
import { type BenchOptions, OptionError } from "./options.ts";
import { Report } from "./report.ts";

/** What the measures share. */
interface MeshRun {
  readonly options: BenchOptions;
  readonly report: Report;
}

const MEASURES: Readonly<Record<string, (run: MeshRun) => Promise<void>>> = {
  "one-way": oneWay,
  "bulk": bulk,
  "overlap": overlap,
  "slow-hop": slowHop,
  "hop": hopBetweenProcesses,
  "hop-tab": hopToTab,
};

/** Widths of SmolLM2-135M and of an 8B model. */
const HIDDEN_SIZES = [576, 4096];
const HOP_REPEATS = 500;
const HOP_GOAL: Goal = { atMost: 1 };
const TAB_HOP_GOAL: Goal = { atMost: 3 };
const ONE_WAY_GOAL: Goal = { atMost: 60 };
const OVERLAP_GOAL: Goal = { atLeast: 0.75 };
const SLOW_HOP_GOAL: Goal = { atLeast: 6 };

/** Prints one line for each number. Returns the exit code: 1 when a measure could not be taken. */
export async function benchMesh(options: BenchOptions): Promise<number> {
  const names = options.only ?? Object.keys(MEASURES);
  const unknown = names.find((name) => !Object.hasOwn(MEASURES, name));
  if (unknown !== undefined) {
    throw new OptionError(
      `There is no measure "${unknown}": use ${Object.keys(MEASURES).join(", ")}`,
    );
  }
  const report = new Report({
    bench: "mesh",
    isJson: options.isJson,
    common: { cores: navigator.hardwareConcurrency },
  });
  const run = { options, report };
  let hasFailed = false;
  for (const name of names) {
    try {
      await MEASURES[name]?.(run);
    } catch (error) {
      hasFailed = true;
      report.line({ measure: name, error: String(error) });
    }
  }
  return hasFailed ? 1 : 0;
}

async function hopBetweenProcesses(run: MeshRun): Promise<void> {
  const bench = await BenchMesh.open();
  const { context } = await openBenchDevice(run.options);
  try {
    const link = await bench.startNode({ adapter: context.capabilities.adapterName });
    await reportHops(run, { bench, link, context, far: "deno", goal: HOP_GOAL });
  } finally {
    context.destroy();
    await bench.close();
  }
}

async function hopToTab(run: MeshRun): Promise<void> {
  // Needs packages of the tests, which a machine that serves lacks.
  const { openTab, tabFiles } = await import("./mesh/tab.ts");
  const bench = await BenchMesh.open(await tabFiles());
  const { context } = await openBenchDevice(run.options);
  try {
    const tab = await openTab(bench);
    try {
      const { link } = tab;
      await reportHops(run, { bench, link, context, far: "chromium tab", goal: TAB_HOP_GOAL });
    } finally {
      await tab.close();
    }
  } finally {
    context.destroy();
    await bench.close();
  }
}

async function reportHops(
  { options, report }: MeshRun,
  { bench, link, context, far, goal }: {
    readonly bench: BenchMesh;
    readonly link: PeerLink;
    readonly context: GpuContext;
    readonly far: string;
    readonly goal: Goal;
  },
): Promise<void> {
  // The first one warms up: processes, programs, the link's congestion window.
  for (const [epoch, hiddenSize] of [HIDDEN_SIZES[0] ?? 0, ...HIDDEN_SIZES].entries()) {
    const times = await measureHop(
      { bench, link, context },
      { hiddenSize, repeats: options.repeats ?? HOP_REPEATS, epoch: epoch + 1 },
    );
    if (epoch === 0) continue;
    const { hopMs, p99Ms, nearGpuMs, farGpuMs, packMs, linkMs, farAdapter } = times;
    report.line({
      ...{ measure: "hop", far, hiddenSize, hopMs: round(hopMs) },
      ...compareWithGoal(hopMs, goal),
      ...{ p99Ms: round(p99Ms), nearGpuMs: round(nearGpuMs), farGpuMs: round(farGpuMs) },
      ...{ packMs: round(packMs), linkMs: round(linkMs) },
      ...{ adapter: context.capabilities.adapterName, farAdapter },
    });
  }
}

async function oneWay({ report }: MeshRun): Promise<void> {
  const path = { delayMs: 50 };
  const frameSizes = [10 * 1024];
  const times = await measureOneWay({ frameSizes, repeats: 40, pauseMs: 120, path });
  for (const { frameBytes, medianMs, p99Ms } of times) {
    report.line({
      ...{ measure: "one-way", delayMs: path.delayMs, frameBytes, ms: round(medianMs) },
      ...compareWithGoal(medianMs, ONE_WAY_GOAL),
      p99Ms: round(p99Ms),
    });
  }
}

async function bulk({ report }: MeshRun): Promise<void> {
  const totalBytes = 64 * 1024 * 1024;
  const frameBytes = 1024 * 1024;
  const mbPerS = await measureThroughput({ isFarEndElsewhere: true, totalBytes, frameBytes });
  report.line({ measure: "bulk", totalBytes, frameBytes, mbPerS: round(mbPerS) });
}

/** Three stages that take the same time: how much of the time are all of them busy? */
async function overlap({ report }: MeshRun): Promise<void> {
  const stepMs = 20;
  const numStages = 3;
  const bench = await BenchMesh.open();
  try {
    const links = [await bench.startNode(), await bench.startNode(), await bench.startNode()];
    for (const [epoch, hiddenSize] of HIDDEN_SIZES.entries()) {
      const hiddenType = "f32";
      const options = { links, stepMs, hiddenSize, hiddenType, epoch: epoch + 1 } as const;
      const pipeline = await openWaitPipeline(bench, options);
      for (const streams of [numStages, 2 * numStages]) {
        const tokensPerS = await pipeline.rate(streams);
        const slowestMs = Math.max(...await pipeline.stageTimesMs());
        // What the slowest stage would do if it never waited for the others.
        const ceiling = streams / numStages / slowestMs * 1000;
        const share = tokensPerS / ceiling;
        report.line({
          ...{ measure: "overlap", stages: numStages, streams, stepMs, hiddenSize },
          ...{ tokensPerS: round(tokensPerS), ceiling: round(ceiling), share: round(share) },
          ...compareWithGoal(share, OVERLAP_GOAL),
          slowestMs: round(slowestMs),
        });
      }
    }
  } finally {
    await bench.close();
  }
}

/** Two stages with a slow path between them: do many streams make up for it? */
async function slowHop({ report }: MeshRun): Promise<void> {
  const delayMs = 20;
  const stepMs = 10;
  const streams = 16;
  const bench = await BenchMesh.open();
  const models: readonly (readonly [number, HiddenType])[] = [[576, "f32"], [4096, "f16"]];
  try {
    // Whoever of the two dials.
    const links = [await bench.startNode({ delayMs }), await bench.startNode({ delayMs })];
    for (const [epoch, [hiddenSize, hiddenType]] of models.entries()) {
      const options = { links, stepMs, hiddenSize, hiddenType, epoch: epoch + 1 };
      const pipeline = await openWaitPipeline(bench, options);
      const alone = await pipeline.rate(1);
      const together = await pipeline.rate(streams);
      const gain = together / alone;
      report.line({
        ...{ measure: "slow-hop", delayMs, stages: links.length, stepMs, hiddenSize, hiddenType },
        ...{ streams, tokensPerS: round(together), alone: round(alone), gain: round(gain) },
        ...compareWithGoal(gain, SLOW_HOP_GOAL),
      });
    }
  } finally {
    await bench.close();
  }
}
