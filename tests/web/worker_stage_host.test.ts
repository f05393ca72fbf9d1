import { afterEach, describe, expect, test } from "vitest";
import type { Batch } from "../../src/core.ts";
import { GpuMemoryError } from "../../src/gpu/context.ts";
import type { StageOutput } from "../../src/stage/stage.ts";
import type { HostedStage, LoadRequest, StageHost } from "../../src/stage/stage_host.ts";
import { openWorkerStageHost } from "../../web/src/open_worker_stage_host.ts";
import { StageHostServer } from "../../web/src/stage_host_server.ts";
import type { WorkerStageHost } from "../../web/src/worker_stage_host.ts";
import { PAGE_STATES } from "./page_states.ts";

const DEVICE = PAGE_STATES["serving"]!.device!;
const SHARD = { startLayer: 2, endLayer: 4, hasEmbedding: false, hasHead: true };
const REQUEST: LoadRequest = {
  manifest: { name: "m", hfConfig: { model_type: "llama" }, files: [], tensors: [] },
  shard: SHARD,
  limits: {
    numBlocks: 4,
    maxModelLength: 64,
    maxBatchTokens: 16,
    maxSequences: 2,
    numSavedStates: 0,
    maxSamples: 2,
  },
  isDeterministic: true,
  useF16Kv: null,
};
const STATE = { loadedBytes: 8, totalBytes: 8, downloadedBytes: 8 };

/** Opened lines of the test under way. */
const closing: (() => void)[] = [];
afterEach(() => closing.splice(0).forEach((close) => close()));

describe("WorkerStageHost", () => {
  test("opens with the device and warnings of the worker, and what it keeps", async () => {
    const { host } = await open(fakeHost({}));
    expect(host.device).toEqual(DEVICE);
    expect(host.warnings).toEqual(["f16 stays unused"]);
    expect(await host.heldFiles()).toEqual([{ key: "a".repeat(64), bytes: 5 }]);
  });

  test("loads: asks the page for bytes, tells progress, and hands out the stage", async () => {
    const read: number[][] = [];
    const { host } = await open(fakeHost({
      load: async (request, { readFromCoordinator, onProgress }) => {
        expect(request).toEqual(REQUEST);
        const ranges = [{ start: 0, end: 3 }, { start: 3, end: 8 }];
        const parts = await Promise.all(ranges.map((range) => readFromCoordinator("k", range)));
        read.push(...parts.map((part) => [...part]));
        onProgress?.(STATE);
        return fakeStage({});
      },
    }));
    const file = Uint8Array.of(9, 8, 7, 6, 5, 4, 3, 2);
    const progress: unknown[] = [];
    const stage = await host.load(REQUEST, {
      // Views of one buffer, which must stay the page's.
      readFromCoordinator: (_, { start, end }) => Promise.resolve(file.subarray(start, end)),
      onProgress: (state) => progress.push(state),
    });
    expect(read).toEqual([[9, 8, 7], [6, 5, 4, 3, 2]]);
    expect(file.length).toBe(8);
    expect(progress).toEqual([STATE]);
    expect(stage).toMatchObject({ shard: SHARD, memoryBytes: 123, state: STATE });
  });

  test("passes on why bytes cannot be read and why a load fails, with its class", async () => {
    const { host } = await open(fakeHost({
      load: async (_, { readFromCoordinator }) => {
        const reason = await readFromCoordinator("k", { start: 0, end: 1 }).catch(String);
        throw new GpuMemoryError(`full, after ${reason}`);
      },
    }));
    const failure = await host.load(REQUEST, {
      readFromCoordinator: () => Promise.reject(new Error("no such file")),
    }).catch((error) => error);
    expect(failure).toBeInstanceOf(GpuMemoryError);
    expect(failure.message).toBe("full, after Error: no such file");
  });

  test("starts overlapping batches in the order of the calls and settles each by itself", async () => {
    const started: number[] = [];
    const finish = new Map<number, (output: StageOutput) => void>();
    const { host } = await open(fakeHost({
      load: () =>
        Promise.resolve(fakeStage({
          forward: ({ stepId }, hidden) => {
            started.push(stepId, hidden?.[0] ?? -1);
            if (stepId === 2) return Promise.reject(new RangeError("batch 2 does not fit"));
            return new Promise((resolve) => finish.set(stepId, resolve));
          },
        })),
    }));
    const stage = await host.load(REQUEST, NO_MEANS);
    const hidden = [1, 2, 3].map((value) => Float32Array.of(value, 0));
    const steps = hidden.map((values, index) => stage.forward(batch(index + 1), values));
    await expect(steps[1]).rejects.toThrow(RangeError);
    await until(() => finish.size === 2);
    expect(started).toEqual([1, 1, 2, 2, 3, 3]);
    finish.get(3)!({ type: "hidden", values: Float32Array.of(33) });
    expect(await steps[2]).toEqual({ type: "hidden", values: Float32Array.of(33) });
    const logits = new Float32Array([0, 5, 6]).subarray(1);
    finish.get(1)!({ type: "tokens", tokens: [{ sequenceId: 7, tokenId: 11, logits }] });
    expect(await steps[0]).toEqual({
      type: "tokens",
      tokens: [{ sequenceId: 7, tokenId: 11, logits: Float32Array.of(5, 6) }],
    });
    expect(hidden[0], "the caller's array stays the caller's").toEqual(Float32Array.of(1, 0));
  });

  test("sends of a batch only its own bytes, whatever buffer they lie in", async () => {
    const sizes: number[] = [];
    const { host } = await open(fakeHost({
      load: () =>
        Promise.resolve(fakeStage({
          forward: ({ slices }) => {
            sizes.push(slices[0]!.tokenIds.buffer.byteLength, slices[0]!.blockTable[0]!);
            return Promise.resolve({ type: "tokens", tokens: [] });
          },
        })),
    }));
    const stage = await host.load(REQUEST, NO_MEANS);
    const frame = new Uint32Array(1 << 16).fill(6);
    const { slices, stepId } = batch(1);
    const views = { tokenIds: frame.subarray(8, 10), blockTable: frame.subarray(100, 101) };
    await stage.forward({ stepId, slices: [{ ...slices[0]!, ...views }] }, null);
    expect(sizes).toEqual([8, 6]);
  });

  test("an aborted load rejects with the signal's reason once the worker has let go", async () => {
    const abort = new AbortController();
    let hasLetGo = false;
    const { host } = await open(fakeHost({
      load: async (_, { readFromCoordinator, signal }) => {
        // Its read is never answered: only the abort ends it.
        await readFromCoordinator("k", { start: 0, end: 1 }).catch(() => {});
        hasLetGo = true;
        signal!.throwIfAborted();
        return fakeStage({});
      },
    }));
    const reason = new Error("The plan changed");
    const load = host.load(REQUEST, {
      readFromCoordinator: () => {
        abort.abort(reason);
        return new Promise(() => {});
      },
      signal: abort.signal,
    });
    await expect(load).rejects.toBe(reason);
    expect(hasLetGo).toBe(true);
    await expect(host.load(REQUEST, { ...NO_MEANS, signal: abort.signal })).rejects.toBe(reason);
  });

  test("a stage that was loaded while the abort was on its way is closed", async () => {
    const abort = new AbortController();
    const closed = Promise.withResolvers<void>();
    const { host } = await open(fakeHost({
      load: (_, { onProgress }) => {
        onProgress?.(STATE);
        return Promise.resolve(fakeStage({ close: () => closed.resolve() }));
      },
    }));
    const load = host.load(REQUEST, {
      ...NO_MEANS,
      signal: abort.signal,
      onProgress: () => abort.abort(new Error("Too late")),
    });
    await expect(load).rejects.toThrow("Too late");
    await closed.promise;
  });

  test("closing a stage rejects what is in flight and what comes after", async () => {
    const closed = Promise.withResolvers<void>();
    const { host } = await open(fakeHost({
      load: () =>
        Promise.resolve(fakeStage({
          forward: () => new Promise(() => {}),
          close: () => closed.resolve(),
        })),
    }));
    const stage = await host.load(REQUEST, NO_MEANS);
    const step = stage.forward(batch(1), null);
    stage.close();
    await expect(step).rejects.toThrow("closed");
    await expect(stage.forward(batch(2), null)).rejects.toThrow("closed");
    await closed.promise;
  });

  test("a lost device resolves `lost`, rejects all that waits, and ends the worker", async () => {
    const lost = Promise.withResolvers<Error>();
    const { host, line } = await open(fakeHost({
      lost: lost.promise,
      load: () => Promise.resolve(fakeStage({ forward: () => new Promise(() => {}) })),
    }));
    const stage = await host.load(REQUEST, NO_MEANS);
    const step = stage.forward(batch(1), null);
    lost.resolve(new Error("driver reset"));
    await expect(step).rejects.toThrow("driver reset");
    expect((await host.lost).message).toBe("driver reset");
    await expect(host.load(REQUEST, NO_MEANS)).rejects.toThrow("driver reset");
    await expect(stage.forward(batch(2), null)).rejects.toThrow("driver reset");
    expect(line.isTerminated).toBe(true);
  });

  test.each(["error", "messageerror"])("a worker's %s counts as a lost device", async (type) => {
    const { host, line } = await open(fakeHost({ load: () => new Promise(() => {}) }));
    const load = host.load(REQUEST, NO_MEANS);
    line.end.dispatchEvent(new Event(type));
    await expect(load).rejects.toMatchObject({ name: "WorkerLostError" });
    expect((await host.lost).name).toBe("WorkerLostError");
    expect(line.isTerminated).toBe(true);
  });

  test("a device that does not open, a crash and a deadline end the worker", async () => {
    const failing = connect(() => Promise.reject(new GpuMemoryError("no room")));
    await expect(openWorkerStageHost(failing, { signal: NEVER })).rejects.toThrow(GpuMemoryError);
    expect(failing.isTerminated).toBe(true);

    const crashing = connect(() => new Promise(() => {}));
    const opening = openWorkerStageHost(crashing, { signal: NEVER });
    crashing.end.dispatchEvent(new ErrorEvent("error", { message: "bad script" }));
    await expect(opening).rejects.toThrow("bad script");
    expect(crashing.isTerminated).toBe(true);

    const slow = connect(() => new Promise(() => {}));
    const signal = AbortSignal.abort(new Error("Too slow"));
    await expect(openWorkerStageHost(slow, { signal })).rejects.toThrow("Too slow");
    expect(slow.isTerminated).toBe(true);
  });
});

const NEVER = new AbortController().signal;
const NO_MEANS = { readFromCoordinator: () => Promise.reject(new Error("Not expected")) };

function batch(stepId: number): Batch {
  const tokenIds = Uint32Array.of(1, 2);
  const blockTable = Uint32Array.of(3);
  return { stepId, slices: [{ sequenceId: 7, slot: 0, startPosition: 0, tokenIds, blockTable }] };
}

function fakeStage(parts: Partial<HostedStage>): HostedStage {
  return {
    shard: SHARD,
    memoryBytes: 123,
    state: STATE,
    forward: () => Promise.resolve({ type: "tokens", tokens: [] }),
    close: () => {},
    ...parts,
  };
}

function fakeHost(parts: Partial<StageHost>): StageHost {
  return {
    device: DEVICE,
    lost: new Promise(() => {}),
    load: () => Promise.resolve(fakeStage({})),
    close: () => {},
    ...parts,
  };
}

/** A line to a server in this thread; messages are cloned and transferred as between threads. */
function connect(openHost: () => Promise<StageHost>) {
  const { port1, port2 } = new MessageChannel();
  const heldFiles = () => Promise.resolve([{ key: "a".repeat(64), bytes: 5 }]);
  new StageHostServer(port2, async () => ({
    host: await openHost(),
    warnings: ["f16 stays unused"],
    heldFiles,
  }));
  port1.start();
  port2.start();
  closing.push(() => {
    port1.close();
    port2.close();
  });
  const line = {
    end: port1,
    isTerminated: false,
    terminate: () => void (line.isTerminated = true),
  };
  return line;
}

async function open(fake: StageHost): Promise<{
  readonly host: WorkerStageHost;
  readonly line: ReturnType<typeof connect>;
}> {
  const line = connect(() => Promise.resolve(fake));
  return { host: await openWorkerStageHost(line, { signal: NEVER }), line };
}

/** Turns the event loop until `isTrue`; a test's own deadline ends it otherwise. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 1));
}
