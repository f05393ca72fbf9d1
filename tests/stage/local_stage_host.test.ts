import { describe, expect, test } from "vitest";
import { type Batch, DEFAULT_SAMPLING, type Shard, splitLayers } from "../../src/core.ts";
import { openGoldenCase } from "../../src/golden.ts";
import { type GpuContext, GpuLostError } from "../../src/gpu/context.ts";
import { defaultTuning } from "../../src/kernels/tuning.ts";
import { shardTensorNames } from "../../src/models/check_tensors.ts";
import { architectureOf } from "../../src/models/registry.ts";
import { systemClock } from "../../src/platform/system.ts";
import { FileStore } from "../../src/platform/file_store.ts";
import { LocalStage } from "../../src/stage/local_stage.ts";
import { LocalStageHost } from "../../src/stage/local_stage_host.ts";
import type { LoadRequest, LoadState } from "../../src/stage/stage_host.ts";
import { MemoryStore } from "../../src/weights/memory_store.ts";
import { ModelShare } from "../../src/weights/model_share.ts";
import { openTestGpu } from "../kernels/gpu.ts";
import { watchDevice } from "./watched_device.ts";

const { context } = await openTestGpu();
const { source, inputs } = await openGoldenCase(new FileStore("tests/golden/llama"), "llama");
const architecture = architectureOf(source.hfConfig);
const config = architecture.readConfig(source.hfConfig);
const share = new ModelShare(source);
const tuning = defaultTuning(context.capabilities, { isDeterministic: true });
const limits = {
  numBlocks: 4,
  maxModelLength: 64,
  maxBatchTokens: 64,
  maxSequences: 1,
  numSavedStates: 0,
  maxSamples: 64,
};
const WHOLE: Shard = {
  startLayer: 0,
  endLayer: config.numLayers,
  hasEmbedding: true,
  hasHead: true,
};

function openHost(device: GpuContext = context, cache = new MemoryStore()): LocalStageHost {
  return new LocalStageHost({
    ...{ context: device, tuning, cache },
    speed: { readGBps: 1, matmulGflops: 2 },
    http: { fetch: () => Promise.reject(new Error("no network here")), clock: systemClock },
  });
}

async function request(shard: Shard, change: Partial<LoadRequest> = {}): Promise<LoadRequest> {
  const names = shardTensorNames({ architecture, config, shard });
  const manifest = await share.manifest(names);
  return { manifest, shard, limits, isDeterministic: null, useF16Kv: null, ...change };
}

const MEANS = {
  readFromCoordinator: (key: string, range: { start: number; end: number }) =>
    share.readFile(key, range),
};

/** The golden prompt, with the logits of all of its tokens. */
function prompt(): Batch {
  const tokenIds = Uint32Array.from(inputs[0]!.inputIds.slice(0, 40));
  const sample = { ...DEFAULT_SAMPLING, tokenIndex: 0, wantsLogits: true };
  const blockTable = Uint32Array.of(0, 1, 2).slice(0, Math.ceil(tokenIds.length / 16));
  return {
    stepId: 1,
    slices: [{ sequenceId: 7, slot: 0, startPosition: 0, tokenIds, blockTable, sample }],
  };
}

function logitsOf(output: Awaited<ReturnType<LocalStage["forward"]>>): Uint32Array {
  if (output.type !== "tokens") throw new Error("The last stage gives tokens");
  return new Uint32Array(output.tokens[0]!.logits!.slice().buffer);
}

async function expectedLogits(): Promise<Uint32Array> {
  const stage = await LocalStage.load({
    ...{ context, tuning, architecture, config, source, limits },
    shard: WHOLE,
  });
  const output = await stage.forward(prompt(), null);
  stage.close();
  return logitsOf(output);
}

describe("LocalStageHost", () => {
  test("loads a shard from the coordinator and gives the bits of a stage that was not tested", async () => {
    const host = openHost();
    const states: LoadState[] = [];
    const loaded = await request(WHOLE);
    const stage = await host.load(loaded, { ...MEANS, onProgress: (state) => states.push(state) });
    expect(logitsOf(await stage.forward(prompt(), null))).toEqual(await expectedLogits());
    const totalBytes = loaded.manifest.tensors.reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(stage.state).toEqual({
      loadedBytes: totalBytes,
      totalBytes,
      downloadedBytes: totalBytes,
    });
    expect(states.length).toBeGreaterThan(5);
    expect(states.every((state, i) => state.loadedBytes >= (states[i - 1]?.loadedBytes ?? 0)))
      .toBe(true);
    expect(stage.memoryBytes).toBeGreaterThan(totalBytes);
    host.close();
  });

  test("peers download their own layers only, and together give the bits of one", async () => {
    const shards = splitLayers(config.numLayers, 3);
    const stages = await Promise.all(shards.map(async (shard) => {
      return await openHost().load(await request(shard), MEANS);
    }));
    let hidden: Float32Array | null = null;
    for (const [i, stage] of stages.entries()) {
      expect(stage.state.downloadedBytes).toBe(stage.state.totalBytes);
      const output = await stage.forward(prompt(), hidden);
      if (output.type === "hidden") hidden = output.values;
      else expect(logitsOf(output)).toEqual(await expectedLogits());
      expect(output.type).toBe(i === 2 ? "tokens" : "hidden");
    }
    const whole = (await request(WHOLE)).manifest.tensors
      .reduce((sum, { byteLength }) => sum + byteLength, 0);
    for (const stage of stages) {
      expect(stage.state.totalBytes).toBeLessThan(0.7 * whole);
      stage.close();
    }
  });

  test("a shard that was held before is not downloaded again", async () => {
    const cache = new MemoryStore();
    const first = openHost(context, cache);
    (await first.load(await request(WHOLE), MEANS)).close();
    const stage = await first.load(await request(WHOLE), {
      readFromCoordinator: () => Promise.reject(new Error("nobody there")),
    });
    expect(stage.state.downloadedBytes).toBe(0);
    stage.close();
  });

  test.each(["q_proj", "embed_tokens", "input_layernorm", "lm_head"])(
    "an upload of %s that went wrong is found, and nothing stays allocated",
    async (tensor) => {
      let numFaults = 0;
      const device = watchDevice(context, (bytes, label) => {
        if (!label.includes(tensor) || numFaults > 0) return bytes;
        numFaults++;
        return new Uint8Array(bytes.length);
      });
      const failed = openHost(device.context).load(await request(WHOLE), MEANS);
      await expect(failed).rejects.toMatchObject({ name: "KnownAnswerError" });
      await expect(failed).rejects.toThrow(tensor);
      expect(numFaults).toBe(1);
      expect([...device.live]).toEqual([]);
    },
  );

  test("K and V in f16 are the request's choice, and pass too", async () => {
    const host = openHost();
    const stage = await host.load(await request(WHOLE, { useF16Kv: true }), MEANS);
    const plain = await openHost().load(await request(WHOLE), MEANS);
    expect(stage.memoryBytes).toBeLessThan(plain.memoryBytes);
    host.close();
    plain.close();
  });

  test("the smallest limits are enough for the known-answer test", async () => {
    const smallest = { ...limits, numBlocks: 1, maxBatchTokens: 1, maxSamples: 1 };
    const host = openHost();
    await host.load(await request(WHOLE, { limits: smallest }), MEANS);
    host.close();
  });

  test("holds one shard at a time, and none once it is closed", async () => {
    const host = openHost();
    const loading = host.load(await request(WHOLE), MEANS);
    await expect(host.load(await request(WHOLE), MEANS)).rejects.toThrow("holds a shard already");
    const stage = await loading;
    await expect(host.load(await request(WHOLE), MEANS)).rejects.toThrow("holds a shard already");
    stage.close();
    const next = await host.load(await request(WHOLE), MEANS);
    host.close();
    await expect(next.forward(prompt(), null)).rejects.toThrow("The stage is closed");
    await expect(host.load(await request(WHOLE), MEANS)).rejects.toThrow("no longer lent");
  });

  test("an abort and close() end a load, and free what it had", async () => {
    for (const how of ["abort", "close"] as const) {
      const device = watchDevice(context);
      const host = openHost(device.context);
      const abort = new AbortController();
      const failed = host.load(await request(WHOLE), {
        readFromCoordinator: () => {
          if (how === "abort") abort.abort(new Error("enough"));
          else host.close();
          return new Promise(() => {});
        },
        signal: abort.signal,
      });
      await expect(failed).rejects.toThrow(how === "abort" ? "enough" : "no longer lent");
      expect([...device.live]).toEqual([]);
    }
  });

  test("what does not belong together is refused before anything is allocated", async () => {
    const device = watchDevice(context);
    const host = openHost(device.context);
    const whole = await request(WHOLE);
    const [first, ...others] = whole.manifest.tensors;
    const without = { ...whole, manifest: { ...whole.manifest, tensors: others } };
    await expect(host.load(without, MEANS)).rejects.toThrow(`tensor "${first!.name}" is missing`);
    const turned = { ...first!, shape: first!.shape.toReversed() };
    const wrong = { ...whole, manifest: { ...whole.manifest, tensors: [turned, ...others] } };
    await expect(host.load(wrong, MEANS)).rejects.toMatchObject({ name: "ModelConfigError" });
    for (const endLayer of [0, -1, 1e9, 1.5, NaN]) {
      const beyond = { ...whole, shard: { ...WHOLE, endLayer } };
      await expect(host.load(beyond, MEANS)).rejects.toThrow("are no part of a model");
    }
    const unknown = { ...whole, manifest: { ...whole.manifest, hfConfig: {} } };
    await expect(host.load(unknown, MEANS)).rejects.toThrow("is not supported yet");
    expect([...device.live]).toEqual([]);
  });

  test("tells what the device is, and when it is lost", async () => {
    const error = new GpuLostError("gone");
    const host = openHost({ ...context, lost: Promise.resolve(error) });
    const { capabilities } = context;
    expect(host.device).toMatchObject({
      adapterName: capabilities.adapterName,
      isSoftware: capabilities.isSoftware,
      readGBps: 1,
      matmulGflops: 2,
    });
    expect(await host.lost).toBe(error);
  });
});
