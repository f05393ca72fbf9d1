import { expect, test } from "vitest";
import fc from "fast-check";
import { type Batch, DEFAULT_SAMPLING, type Shard, splitLayers } from "../../src/core.ts";
import { Pipeline } from "../../src/pipeline/pipeline.ts";
import { StageError } from "../../src/pipeline/stage_error.ts";
import type { Stage, StageOutput } from "../../src/stage/stage.ts";
import { expectedOutput, hashChainStages, settle, VirtualDelays } from "./hash_chain.ts";

/** A batch with one sequence of its own block, `id`. */
function batchOf(id: number, tokenIds: readonly number[]): Batch {
  const { temperature, topP, topK, minP, seed } = DEFAULT_SAMPLING;
  return {
    stepId: id,
    slices: [{
      sequenceId: id,
      slot: id,
      startPosition: 0,
      tokenIds: Uint32Array.from(tokenIds),
      blockTable: Uint32Array.of(id),
      sample: { temperature, topP, topK, minP, seed, tokenIndex: 0 },
    }],
  };
}

/** A stage that answers whatever it is told to. */
function cannedStage(shard: Shard, output: StageOutput): Stage {
  return { shard, forward: () => Promise.resolve(output), close: () => {} };
}

const WHOLE: Shard = { startLayer: 0, endLayer: 2, hasEmbedding: true, hasHead: true };

test("forward() takes hidden states through all stages and returns the drawn tokens", async () => {
  for (const numStages of [1, 2, 4]) {
    const stages = hashChainStages(numStages, { numBlocks: 4 });
    const pipeline = new Pipeline({ stages, numLayers: numStages });
    const { tokenIds: [tokenId] } = expectedOutput([5, 6, 7], {
      sampling: DEFAULT_SAMPLING,
      numStages,
      maxModelLength: 64,
    });
    expect(await pipeline.forward(batchOf(3, [5, 6, 7]))).toEqual([{ sequenceId: 3, tokenId }]);
  }
});

test("a batch that draws nothing returns no tokens", async () => {
  const stages = hashChainStages(2, { numBlocks: 1 });
  const pipeline = new Pipeline({ stages, numLayers: 2 });
  const { slices: [{ sample: _, ...slice }] } = batchOf(0, [1, 2]) as Batch & {
    slices: [Batch["slices"][number]];
  };
  expect(await pipeline.forward({ stepId: 0, slices: [slice] })).toEqual([]);
});

test("batches are in different stages at once", async () => {
  const delays = new VirtualDelays();
  const stages = hashChainStages(2, { numBlocks: 4, delays });
  const pipeline = new Pipeline({ stages, numLayers: 2 });
  const steps = [pipeline.forward(batchOf(0, [1])), pipeline.forward(batchOf(1, [2]))];
  let isTogether = false;
  while (stages[1]!.stepIds.length < 2) {
    await settle();
    isTogether ||= stages[1]!.stepIds.length < 1 && stages[0]!.stepIds.length === 2;
    delays.end(delays.numPending - 1);
  }
  while (delays.numPending > 0) {
    delays.end(0);
    await settle();
  }
  expect(await Promise.all(steps)).toHaveLength(2);
  expect(isTogether).toBe(true);
});

test("each stage sees the batches in the order of the calls, whatever is delayed or fails", () =>
  fc.assert(
    fc.asyncProperty(
      fc.record({
        numStages: fc.integer({ min: 1, max: 4 }),
        numBatches: fc.integer({ min: 1, max: 8 }),
        failures: fc.array(fc.record({ stepId: fc.nat(7), stageIndex: fc.nat(3) }), {
          maxLength: 3,
        }),
        order: fc.infiniteStream(fc.nat()),
      }),
      async ({ numStages, numBatches, failures, order }) => {
        const delays = new VirtualDelays();
        const stages = hashChainStages(numStages, {
          numBlocks: 8,
          delays,
          onBatch: ({ stepId }, stageIndex) => {
            if (failures.some((x) => x.stepId === stepId && x.stageIndex === stageIndex)) {
              throw new Error("Out of luck");
            }
          },
        });
        const pipeline = new Pipeline({ stages, numLayers: numStages });
        const steps = Promise.allSettled(
          Array.from({ length: numBatches }, (_, i) => pipeline.forward(batchOf(i, [i, i + 1]))),
        );
        await settle();
        while (delays.numPending > 0) {
          delays.end(order.next().value!);
          await settle();
        }
        for (const [stepId, step] of (await steps).entries()) {
          const isDoomed = failures.some((x) => x.stepId === stepId && x.stageIndex < numStages);
          expect(step.status).toBe(isDoomed ? "rejected" : "fulfilled");
        }
        for (const { stepIds } of stages) {
          expect(stepIds).toEqual([...stepIds].sort((a, b) => a - b));
        }
      },
    ),
    { numRuns: 150 },
  ));

test("a failing stage fails its batch with its place and cause, and later batches run", async () => {
  const cause = new Error("The device is lost");
  const stages = hashChainStages(3, {
    numBlocks: 4,
    onBatch: ({ stepId }, stageIndex) => {
      if (stepId === 1 && stageIndex === 1) throw cause;
    },
  });
  const pipeline = new Pipeline({ stages, numLayers: 3 });
  const steps = await Promise.allSettled(
    [0, 1, 2].map((id) => pipeline.forward(batchOf(id, [id]))),
  );
  expect(steps.map((step) => step.status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  const error = (steps[1] as PromiseRejectedResult).reason;
  expect(error).toBeInstanceOf(StageError);
  expect(error).toMatchObject({ stepId: 1, stageIndex: 1, cause });
  expect(error.message).toBe('Step "1" failed in stage "1": The device is lost');
});

test("a stage that throws before it returns a promise fails only its batch", async () => {
  let numCalls = 0;
  const stage: Stage = {
    shard: WHOLE,
    forward: () => {
      if (numCalls++ === 0) throw new Error("Not today");
      return Promise.resolve({ type: "tokens", tokens: [] });
    },
    close: () => {},
  };
  const pipeline = new Pipeline({ stages: [stage], numLayers: 2 });
  await expect(pipeline.forward(batchOf(0, [1]))).rejects.toThrow("Not today");
  expect(await pipeline.forward(batchOf(1, [1]))).toEqual([]);
});

test("a stage that returns the wrong kind of output fails the batch", async () => {
  const hidden = cannedStage(WHOLE, { type: "hidden", values: new Float32Array(1) });
  const pipeline = new Pipeline({ stages: [hidden], numLayers: 2 });
  await expect(pipeline.forward(batchOf(0, [1]))).rejects.toThrow(
    'Step "0" failed in stage "0": The stage returned "hidden" instead of "tokens"',
  );
});

test("shards that are not the whole model in order are refused", () => {
  const pipelineOf = (...shards: readonly Shard[]) => () =>
    new Pipeline({
      stages: shards.map((shard) => cannedStage(shard, { type: "tokens", tokens: [] })),
      numLayers: 6,
    });
  const [a, b, c] = splitLayers(6, 3) as [Shard, Shard, Shard];
  expect(pipelineOf(a, b, c)).not.toThrow();
  expect(pipelineOf()).toThrow("A pipeline needs at least one stage");
  expect(pipelineOf(a, c)).toThrow('Stage "1" has layers [4, 6) but should start at "2"');
  expect(pipelineOf(b, a, c)).toThrow('Stage "0" has layers [2, 4) but should start at "0"');
  expect(pipelineOf(a, b, b)).toThrow('Stage "2" has layers [2, 4) but should start at "4"');
  expect(pipelineOf(a, { ...b, hasHead: true })).toThrow("The stages have layers [0, 4) of [0, 6)");
  expect(pipelineOf({ ...a, hasEmbedding: false }, b, c)).toThrow('see stage "0"');
  expect(pipelineOf(a, { ...b, hasEmbedding: true }, c)).toThrow('see stage "1"');
  expect(pipelineOf(a, b, { ...c, hasHead: false })).toThrow(
    'The last stage has the head and no other: see stage "2"',
  );
});

test("close() closes each stage once and later batches are refused", async () => {
  let numCloses = 0;
  const stage = cannedStage(WHOLE, { type: "tokens", tokens: [] });
  stage.close = () => numCloses++;
  const pipeline = new Pipeline({ stages: [stage], numLayers: 2 });
  pipeline.close();
  pipeline.close();
  expect(numCloses).toBe(1);
  await expect(pipeline.forward(batchOf(0, [1]))).rejects.toThrow("The pipeline is closed");
});
