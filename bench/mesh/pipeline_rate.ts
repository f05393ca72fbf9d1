/**
 * Tokens a second of pipelines whose stages take a fixed time.
 *
 * @module
 */
import { splitLayers } from "../../src/core.ts";
import { Engine } from "../../src/engine.ts";
import type { PeerLink } from "../../src/mesh/peer_link.ts";
import type { HiddenType } from "../../src/pipeline/hidden_wire.ts";
import { MeshPipeline } from "../../src/pipeline/mesh_pipeline.ts";
import { decodeRate } from "../throughput.ts";
import type { BenchMesh } from "./bench_mesh.ts";

/** Stages on other processes. */
export interface WaitPipeline {
  /** Decoded tokens a second of `numStreams` streams at once. */
  rate(numStreams: number): Promise<number>;
  /** Median step of each stage since the last look, in ms. */
  stageTimesMs(): Promise<readonly number[]>;
}

const VOCAB_SIZE = 1_000;
const LIMITS = {
  ...{ numBlocks: 512, maxModelLength: 256, maxBatchTokens: 64, maxSequences: 32, maxSamples: 32 },
  numSavedStates: 0,
};
const DECODE_TOKENS = 32;
const REPEATS = 3;

/** What a pipeline of such stages is like. */
export interface WaitPipelineOptions {
  /** To a node for each stage. */
  readonly links: readonly PeerLink[];
  /** Of each stage, for any batch. */
  readonly stepMs: number;
  readonly hiddenSize: number;
  readonly hiddenType: HiddenType;
  readonly epoch: number;
}

/** Has the nodes serve one stage each. */
export async function openWaitPipeline(
  bench: BenchMesh,
  { links, stepMs, hiddenSize, hiddenType, epoch }: WaitPipelineOptions,
): Promise<WaitPipeline> {
  const shards = splitLayers(links.length, links.length);
  await Promise.all(links.map((link, i) =>
    bench.order(link, {
      ...{ type: "bench-stage", work: { type: "wait", stepMs }, epoch, limits: LIMITS },
      shard: shards[i]!,
      ...{ hiddenSize, hiddenType },
      previous: links[i - 1]?.peerId ?? null,
      next: links[i + 1]?.peerId ?? null,
    })
  ));
  const pipeline = new MeshPipeline({ epoch, links, clock: bench.means.clock });
  return {
    rate: async (numStreams) => {
      const engine = new Engine({
        ...{ pipeline, scheduler: LIMITS, vocabSize: VOCAB_SIZE, clock: bench.means.clock },
      });
      try {
        return await decodeRate({
          ...{ engine, vocabSize: VOCAB_SIZE, numSequences: numStreams },
          ...{ promptTokens: 4, repeats: REPEATS },
        }, { decodeTokens: DECODE_TOKENS, prefillSteps: numStreams });
      } finally {
        await engine.close();
      }
    },
    stageTimesMs: () => Promise.all(links.map(async (link) => (await bench.stats(link)).stageMs)),
  };
}
