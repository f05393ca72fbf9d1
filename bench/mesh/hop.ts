/**
 * What it costs to hand hidden states on: upload, pack, send, receive, unpack and readback.
 *
 * @module
 */
import { type Batch, DEFAULT_SAMPLING } from "../../src/core.ts";
import type { GpuContext } from "../../src/gpu/context.ts";
import type { Frame } from "../../src/mesh/frame.ts";
import type { PeerLink } from "../../src/mesh/peer_link.ts";
import { BatchDecoder } from "../../src/pipeline/batch_decoder.ts";
import { BatchEncoder } from "../../src/pipeline/batch_encoder.ts";
import { batchFrame, maxBatchBytes, readBatchPayload } from "../../src/pipeline/batch_frame.ts";
import { decodeHidden, encodeHidden } from "../../src/pipeline/hidden_wire.ts";
import { StageService } from "../../src/pipeline/stage_service.ts";
import { median } from "../median.ts";
import type { BenchMesh } from "./bench_mesh.ts";
import { CopyStage } from "./copy_stage.ts";
import { TimedStage } from "./timed_stage.ts";

/** Times of one hop in ms: medians, unless said otherwise. */
export interface HopTimes {
  readonly hopMs: number;
  readonly p99Ms: number;
  /** Upload, copy and readback, here and there. */
  readonly nearGpuMs: number;
  readonly farGpuMs: number;
  /** Packing and unpacking. */
  readonly packMs: number;
  /** What is left: the link, and both event loops. */
  readonly linkMs: number;
  readonly farAdapter: string | null;
}

const WARM_UP_HOPS = 100;
const SHARD = { startLayer: 1, endLayer: 2, hasEmbedding: false, hasHead: false };
const LIMITS = {
  ...{ numBlocks: 64, maxModelLength: 1024, maxBatchTokens: 16, maxSequences: 16, maxSamples: 16 },
  numSavedStates: 0,
};

/**
 * Hands hidden states f32 [1, hiddenSize] to the stage behind `link` and from there to a stage of
 * this process, `repeats` times: two hops in a row, of which each counts half.
 */
export async function measureHop(
  { bench, link, context }: {
    readonly bench: BenchMesh;
    readonly link: PeerLink;
    readonly context: GpuContext;
  },
  { hiddenSize, repeats, epoch }: {
    readonly hiddenSize: number;
    readonly repeats: number;
    readonly epoch: number;
  },
): Promise<HopTimes> {
  const { clock } = bench.means;
  const { adapterName: farAdapter } = await bench.order(link, {
    ...{ type: "bench-stage", work: { type: "copy" }, epoch, hiddenSize, hiddenType: "f32" },
    ...{ shard: SHARD, limits: LIMITS, previous: null, next: null },
  });
  const { maxBatchTokens } = LIMITS;
  const copy = await CopyStage.create(context, { shard: SHARD, hiddenSize, maxBatchTokens });
  const stage = new TimedStage(copy, clock);
  const sink = new Sink(link);
  link.allowPayload(maxBatchBytes(LIMITS, { hiddenSize, vocabSize: 1 }));
  const service = new StageService({
    ...{ stage, epoch, hiddenSize, clock, limits: LIMITS, input: link, output: sink },
    hiddenType: "f32",
    onFailure: ({ reason }) => sink.fail(new Error(reason)),
  });
  const encoder = new BatchEncoder();
  const values = Float32Array.from({ length: hiddenSize }, (_, i) => Math.sin(i));
  const times: number[] = [];
  for (let step = 1; step <= WARM_UP_HOPS + repeats; step++) {
    if (step === WARM_UP_HOPS) {
      stage.takeMedianMs();
      await bench.stats(link);
    }
    const startMs = clock.now();
    const arrived = sink.next();
    const batch = decodeBatch(step % LIMITS.maxModelLength);
    const parts = { meta: encoder.encode(batch), input: encodeHidden(values, "f32") };
    await link.sendFrame(batchFrame(parts, frameHead(batch, { epoch, sequence: step })), "hot");
    await arrived;
    if (step > WARM_UP_HOPS) times.push((clock.now() - startMs) / 2);
  }
  const { stageMs: farGpuMs } = await bench.stats(link);
  const nearGpuMs = stage.takeMedianMs();
  service.close();
  stage.close();
  const packMs = timePacking(values);
  const hopMs = median(times);
  const linkMs = hopMs - (nearGpuMs + farGpuMs) / 2 - packMs;
  const p99Ms = times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? NaN;
  return { hopMs, p99Ms, nearGpuMs, farGpuMs, packMs, linkMs, farAdapter };
}

/** One token of one sequence. */
function decodeBatch(position: number): Batch {
  const numBlocks = Math.floor(position / 16) + 1;
  return {
    stepId: 0,
    slices: [{
      sequenceId: 1,
      slot: 0,
      startPosition: position,
      tokenIds: Uint32Array.of(1),
      blockTable: Uint32Array.from({ length: numBlocks }, (_, block) => block),
      sample: { ...DEFAULT_SAMPLING, tokenIndex: position },
    }],
  };
}

function frameHead(
  { slices }: Batch,
  { epoch, sequence }: { readonly epoch: number; readonly sequence: number },
) {
  const position = slices[0]?.startPosition ?? 0;
  return { epoch, sequence, position, numTokens: 1, dtype: "f32" } as const;
}

/** Of one frame: everything but the link. Median, in ms. */
function timePacking(values: Float32Array): number {
  const encoder = new BatchEncoder();
  const decoder = new BatchDecoder(LIMITS);
  const times: number[] = [];
  for (let step = 1; step < 500; step++) {
    const startMs = performance.now();
    const batch = decodeBatch(step);
    const parts = { meta: encoder.encode(batch), input: encodeHidden(values, "f32") };
    const frame = batchFrame(parts, frameHead(batch, { epoch: 1, sequence: step }));
    const { meta, input } = readBatchPayload(frame.payload);
    decoder.decode({ stepId: step, meta, tokenIds: null });
    decodeHidden(input, { type: "f32", numElements: values.length });
    times.push(performance.now() - startMs);
  }
  return median(times);
}

/** Where the last stage's frames go: nowhere, but it tells when one came. */
class Sink implements PeerLink {
  readonly peerId: string;
  readonly stats: PeerLink["stats"];
  readonly closedReason = null;
  #next = Promise.withResolvers<void>();

  constructor({ peerId, stats }: PeerLink) {
    this.peerId = peerId;
    this.stats = stats;
  }

  /** Resolves at the next frame. */
  next(): Promise<void> {
    this.#next = Promise.withResolvers<void>();
    return this.#next.promise;
  }

  fail(error: Error): void {
    this.#next.reject(error);
  }

  sendFrame(_frame: Frame): Promise<void> {
    this.#next.resolve();
    return Promise.resolve();
  }

  listen(): () => void {
    return () => {};
  }

  sendControl(): void {}
  allowPayload(): void {}
  close(): void {}
}
