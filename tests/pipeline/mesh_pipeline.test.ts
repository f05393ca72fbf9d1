import { afterEach, describe, expect, test } from "vitest";
import { type Batch, DEFAULT_SAMPLING } from "../../src/core.ts";
import { Engine } from "../../src/engine.ts";
import type { Frame } from "../../src/mesh/frame.ts";
import { BatchEncoder } from "../../src/pipeline/batch_encoder.ts";
import { batchFrame, tokenIdBytes } from "../../src/pipeline/batch_frame.ts";
import { MeshPipeline } from "../../src/pipeline/mesh_pipeline.ts";
import { PipelineLostError } from "../../src/pipeline/pipeline_lost_error.ts";
import { StageError } from "../../src/pipeline/stage_error.ts";
import { encodeTokens } from "../../src/pipeline/token_wire.ts";
import { quickClock } from "../cluster/quick_clock.ts";
import { expectedOutput, settle, VOCAB_SIZE } from "./hash_chain.ts";
import {
  CHAIN_LIMITS,
  changedOutput,
  EPOCH,
  MeshChain,
  type MeshChainOptions,
} from "./mesh_chain.ts";

let chain: MeshChain;
afterEach(() => chain.close());

function open(options: Partial<MeshChainOptions> = {}): MeshChain {
  return chain = new MeshChain({ numStages: 3, ...options });
}

/** A prefill of one sequence of its own blocks, up to 8 of them. */
function batchOf(id: number, tokenIds: readonly number[] = [id, id + 1]): Batch {
  const { temperature, topP, topK, minP, seed } = DEFAULT_SAMPLING;
  return {
    stepId: id,
    slices: [{
      sequenceId: id,
      slot: id % CHAIN_LIMITS.maxSequences,
      startPosition: 0,
      tokenIds: Uint32Array.from(tokenIds),
      blockTable: Uint32Array.from(
        { length: Math.ceil(tokenIds.length / 16) },
        (_, i) => (id * 8 + i) % CHAIN_LIMITS.numBlocks,
      ),
      sample: { temperature, topP, topK, minP, seed, tokenIndex: 0 },
    }],
  };
}

function tokenAfter(prompt: readonly number[], numStages = 3): number | undefined {
  const sampling = DEFAULT_SAMPLING;
  return expectedOutput(prompt, { sampling, numStages, maxModelLength: 4096 }).tokenIds[0];
}

/** What a coordinator would send, to be tampered with. */
function frameOf(batch: Batch, change: Partial<Frame> = {}): Frame {
  const input = tokenIdBytes(batch);
  const head = { epoch: EPOCH, sequence: 1, position: 0, numTokens: 2, dtype: "none" } as const;
  return { ...batchFrame({ meta: new BatchEncoder().encode(batch), input }, head), ...change };
}

describe("a pipeline over links", () => {
  test("gives the tokens of one machine, with batches of many sequences in flight", async () => {
    for (const numStages of [1, 2, 4]) {
      const { pipeline } = open({ numStages });
      const engine = new Engine({
        ...{ pipeline, scheduler: CHAIN_LIMITS, vocabSize: VOCAB_SIZE, clock: quickClock },
      });
      const sampling = {
        ...DEFAULT_SAMPLING,
        temperature: 0.5,
        frequencyPenalty: 0.5,
        maxTokens: 20,
      };
      const prompts = [[1], [2, 3], Array.from({ length: 90 }, (_, i) => i % 50), [4, 4], [9]];
      const outputs = await Promise.all(prompts.map(async (prompt) => {
        const tokenIds: number[] = [];
        for await (const event of engine.generate(prompt, sampling)) {
          tokenIds.push(...event.tokenIds);
        }
        return tokenIds;
      }));
      const { maxModelLength } = engine;
      expect(outputs).toEqual(
        prompts.map((prompt) =>
          expectedOutput(prompt, { sampling, numStages, maxModelLength }).tokenIds
        ),
      );
      await engine.close();
      expect(chain.services[0]!.stats).toMatchObject({ numRefused: 0 });
      chain.close();
    }
  });

  test("stages run batches in the order of the calls and are counted", async () => {
    const { pipeline, stages, services } = open();
    const ids = Array.from({ length: 12 }, (_, i) => i);
    const outputs = await Promise.all(ids.map((id) => pipeline.forward(batchOf(id))));
    expect(outputs.map(([output]) => output?.tokenId)).toEqual(
      ids.map((id) => tokenAfter([id, id + 1])),
    );
    for (const { stepIds } of stages) expect(stepIds).toEqual(ids.map((id) => id + 1));
    for (const { stats } of services) {
      expect(stats).toMatchObject({ numSteps: 12, numTokens: 24, numRefused: 0 });
    }
  });

  test("a prefill of thousands of tokens goes through", async () => {
    const { pipeline } = open({ numStages: 2 });
    const tokenIds = Array.from({ length: 1500 }, (_, i) => i % VOCAB_SIZE);
    const batch = batchOf(0, tokenIds);
    expect(await pipeline.forward(batch)).toEqual([
      { sequenceId: 0, tokenId: tokenAfter(tokenIds, 2) },
    ]);
  });

  test("a step that one stage cannot run fails with its place and reason; later ones run", async () => {
    const { pipeline, failures } = open({
      onBatch: ({ slices }, stageIndex) => {
        if (stageIndex === 1 && slices[0]?.sequenceId === 2) throw new Error("Out of luck");
      },
    });
    const steps = await Promise.allSettled([1, 2, 3].map((id) => pipeline.forward(batchOf(id))));
    expect(steps.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    const { reason } = steps[1] as PromiseRejectedResult;
    expect(reason).toBeInstanceOf(StageError);
    expect(reason.message).toBe('Step "2" failed in stage "1": Out of luck');
    expect(failures).toEqual([{ stepId: 2, reason: "Out of luck" }]);
    expect(await pipeline.forward(batchOf(4))).toHaveLength(1);
  });

  test("a step that fails while an earlier one runs waits for its turn and harms nobody", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { pipeline, failures } = open({
      numStages: 1,
      wrap: (stage) =>
        changedOutput(stage, async (output) => {
          await promise;
          return output;
        }),
    });
    const first = pipeline.forward(batchOf(1));
    const doomed = pipeline.forward({ ...batchOf(2), slices: [] });
    doomed.catch(() => {});
    await quickClock.sleep(200);
    expect(failures).toEqual([]);
    resolve();
    expect(await first).toHaveLength(1);
    await expect(doomed).rejects.toThrow("The frame's header does not fit its batch");
  });

  test("hidden states that are not finite are refused, and the step fails for that reason", async () => {
    for (const bad of [NaN, Infinity, -Infinity]) {
      const { pipeline } = open({
        wrap: (stage, stageIndex) =>
          stageIndex !== 0 ? stage : changedOutput(stage, (output) => {
            if (output.type === "hidden" && output.values.length === 3) output.values[1] = bad;
            return output;
          }),
      });
      const [step, next] = await Promise.allSettled([
        pipeline.forward(batchOf(1, [1, 2, 3])),
        pipeline.forward(batchOf(2)),
      ]);
      expect(step).toMatchObject({
        status: "rejected",
        reason: { message: 'Step "1" failed in stage "1": The hidden states are not finite' },
      });
      expect(next.status).toBe("fulfilled");
      chain.close();
    }
  });

  test("f16 halves the bytes of a hop and rounds; f32 keeps every bit", async () => {
    const values = Float32Array.from({ length: 100 }, (_, i) => i / 3);
    const sizes: number[] = [];
    for (const hiddenType of ["f32", "f16"] as const) {
      const seen: (Float32Array | null)[] = [];
      const { pipeline, hops } = open({
        numStages: 2,
        hiddenType,
        wrap: ({ shard, close }) => ({
          ...{ shard, close },
          forward: (_, hidden) => {
            seen.push(hidden);
            return Promise.resolve(
              shard.hasHead ? { type: "tokens", tokens: [] } : { type: "hidden", values },
            );
          },
        }),
      });
      await pipeline.forward(batchOf(1, Array.from(values, (_, i) => i % VOCAB_SIZE)));
      const rounded = new Float32Array(new Float16Array(values));
      expect(seen).toEqual([null, hiddenType === "f32" ? values : rounded]);
      sizes.push(hops[0]!.a.stats.bytesOut);
      chain.close();
    }
    expect(sizes[0]! - sizes[1]!).toBe(2 * values.length);
  });

  test("what exceeds f16 is refused with the way out", async () => {
    const { pipeline } = open({
      numStages: 2,
      hiddenType: "f16",
      wrap: (stage) =>
        changedOutput(stage, (output) => {
          if (output.type === "hidden") output.values.fill(70_000);
          return output;
        }),
    });
    await expect(pipeline.forward(batchOf(1))).rejects.toThrow(
      "The hidden states are not finite, or exceed f16: send them as f32",
    );
  });
});

describe("a stage", () => {
  test("refuses and counts frames of another epoch and steps that it had before", async () => {
    const { wires, services, stages, failures } = open({ numStages: 1 });
    const { a } = wires[0]!;
    await a.sendFrame(frameOf(batchOf(1), { epoch: EPOCH - 1 }), "hot");
    await a.sendFrame(frameOf(batchOf(1), { epoch: EPOCH + 1 }), "hot");
    await a.sendFrame(frameOf(batchOf(1), { sequence: 5 }), "hot");
    await a.sendFrame(frameOf(batchOf(1), { sequence: 5 }), "hot");
    await a.sendFrame(frameOf(batchOf(1), { sequence: 4 }), "hot");
    await a.sendFrame(frameOf(batchOf(1), { type: "probe", sequence: 9 }), "hot");
    await settle();
    expect(stages[0]!.stepIds).toEqual([5]);
    expect(services[0]!.stats).toMatchObject({ numRefused: 4, numSteps: 1 });
    expect(failures).toEqual([]);
  });

  test("refuses frames whose header and payload are not of one batch", async () => {
    const { wires, failures, stages } = open({ numStages: 1 });
    const { a } = wires[0]!;
    const batch = batchOf(1);
    const cases: [Partial<Frame>, string][] = [
      [{ numTokens: 3 }, "The frame's header does not fit its batch"],
      [{ position: 1 }, "The frame's header does not fit its batch"],
      [{ dtype: "f32" }, 'A frame of type "f32" is no input of this stage'],
      [{ payload: new Uint8Array(3) }, "4 bytes are wanted at 0 of 3"],
      [{ payload: Uint8Array.of(9, 0, 0, 0, 1) }, "9 bytes are wanted at 4 of 5"],
      [{ payload: new Uint8Array(0) }, "4 bytes are wanted at 0 of 0"],
      [{ payload: frameOf(batch).payload.slice(0, -1) }, "7 bytes are no token ids"],
      [{ payload: frameOf(batch).payload.slice(0, -4) }, "1 token ids are too few for the batch"],
    ];
    for (const [i, [change]] of cases.entries()) {
      await a.sendFrame(frameOf(batch, { ...change, sequence: i + 1 }), "hot");
    }
    await settle();
    expect(failures.map(({ reason }) => reason)).toEqual(cases.map(([, reason]) => reason));
    expect(failures.map(({ stepId }) => stepId)).toEqual(cases.map((_, i) => i + 1));
    expect(stages[0]!.stepIds).toEqual([]);
  });

  test("a later stage refuses hidden states of the wrong size or type", async () => {
    const { hops, failures } = open({ numStages: 2 });
    const { a } = hops[0]!;
    const meta = new BatchEncoder().encode(batchOf(1));
    const head = { epoch: EPOCH, position: 0, numTokens: 2 };
    const send = (sequence: number, input: Uint8Array, dtype: Frame["dtype"]) =>
      a.sendFrame(batchFrame({ meta, input }, { ...head, sequence, dtype }), "hot");
    await send(1, new Uint8Array(7), "f32");
    await send(2, new Uint8Array(8), "f16");
    await send(3, new Uint8Array(8), "none");
    await settle();
    expect(failures.map(({ reason }) => reason)).toEqual([
      "7 bytes of hidden states came instead of 8",
      "8 bytes of hidden states came instead of 4",
      'A frame of type "none" is no input of this stage',
    ]);
  });

  test("takes nothing after close()", async () => {
    const { wires, services, stages } = open({ numStages: 1 });
    services[0]!.close();
    await wires[0]!.a.sendFrame(frameOf(batchOf(1)), "hot");
    await settle();
    expect(stages[0]!.stepIds).toEqual([]);
  });
});

describe("the coordinator's end", () => {
  test("close() rejects what is in flight and what comes", async () => {
    const { pipeline } = open({
      wrap: (stage) => changedOutput(stage, () => new Promise(() => {})),
    });
    const step = pipeline.forward(batchOf(1));
    pipeline.close("Layers are given out anew");
    await expect(step).rejects.toThrow(new PipelineLostError("Layers are given out anew"));
    await expect(pipeline.forward(batchOf(2))).rejects.toThrow(PipelineLostError);
    expect(await pipeline.lost).toBe("Layers are given out anew");
  });

  test("a link that closes, to whichever stage, ends the pipeline; no step is blamed", async () => {
    for (const stageIndex of [0, 1, 2]) {
      const { pipeline, wires, failures } = open({
        wrap: (stage) => changedOutput(stage, () => new Promise(() => {})),
      });
      const step = pipeline.forward(batchOf(1));
      wires[stageIndex]!.b.close("Left");
      await expect(step).rejects.toThrow(
        new PipelineLostError(`Stage ${stageIndex} is gone: Left`),
      );
      expect(failures).toEqual([]);
      chain.close();
    }
  });

  test("a hop that closes blames no step: whoever owns the pipeline ends it", async () => {
    const { pipeline, hops, failures } = open();
    hops[0]!.a.close("Network changed");
    const step = pipeline.forward(batchOf(1));
    await quickClock.sleep(200);
    expect(failures).toEqual([]);
    pipeline.close("Stage 0 lost its neighbour");
    await expect(step).rejects.toThrow(PipelineLostError);
  });

  test("links that are closed already make no pipeline", async () => {
    const { wires } = open();
    wires[1]!.b.close("Left");
    await settle();
    const pipeline = new MeshPipeline({
      epoch: EPOCH,
      links: wires.map(({ a }) => a),
      clock: quickClock,
    });
    await expect(pipeline.forward(batchOf(1))).rejects.toThrow("A stage is gone: Left");
  });

  test("a step that is overdue ends the pipeline", async () => {
    let isHung = false;
    const { pipeline } = open({
      numStages: 1,
      wrap: (stage) => changedOutput(stage, (output) => isHung ? new Promise(() => {}) : output),
    });
    await pipeline.forward(batchOf(1));
    isHung = true;
    await expect(pipeline.forward(batchOf(2))).rejects.toThrow(
      new PipelineLostError("A step did not come back within 10000 ms"),
    );
  });

  test("tokens of other epochs, of unknown steps and from other stages are passed over", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { pipeline, wires } = open({
      numStages: 2,
      wrap: (stage) =>
        changedOutput(stage, async (output) => {
          await promise;
          return output;
        }),
    });
    const step = pipeline.forward(batchOf(1));
    const forged: Frame = {
      ...{ type: "tokens", epoch: EPOCH, sequence: 1, position: 0, numTokens: 2, dtype: "none" },
      payload: encodeTokens([{ sequenceId: 1, tokenId: 49 }]),
    };
    await wires[0]!.b.sendFrame(forged, "hot");
    await wires[1]!.b.sendFrame({ ...forged, epoch: EPOCH - 1 }, "hot");
    await wires[1]!.b.sendFrame({ ...forged, sequence: 2 }, "hot");
    resolve();
    expect(await step).toEqual([{ sequenceId: 1, tokenId: tokenAfter([1, 2], 2) }]);
  });

  test("tokens that cannot be read fail their step and no other", async () => {
    const { pipeline, wires, services } = open({ numStages: 1 });
    services[0]!.close();
    const [bad, good] = [pipeline.forward(batchOf(1)), pipeline.forward(batchOf(2))];
    const answer = (sequence: number, payload: Uint8Array) =>
      wires[0]!.b.sendFrame({ ...frameOf(batchOf(1)), type: "tokens", sequence, payload }, "hot");
    const tokens = [{ sequenceId: 2, tokenId: 3, logits: Float32Array.of(0.5, -1) }, {
      sequenceId: 5,
      tokenId: 4,
    }];
    await answer(1, encodeTokens(tokens).slice(0, -3));
    await answer(2, encodeTokens(tokens));
    await expect(bad).rejects.toThrow(StageError);
    expect(await good).toEqual(tokens);
  });
});
