import { type Batch, numBatchTokens, type Shard } from "../../src/core.ts";
import type { HostedStage, LoadRequest, LoadState, StageHost } from "../../src/stage/stage_host.ts";
import type { StageOutput } from "../../src/stage/stage.ts";
import type { SimNode } from "./node.ts";
import { OracleLayers } from "./oracle_stage.ts";

/** How fast a device is. */
export interface DevicePlan {
  readonly readGBps: number;
  /** Of a step, and of each token in it. */
  readonly stepMs: number;
  readonly tokenMs: number;
  readonly loadMs: number;
}

/** Who looks on. */
export interface HostTap {
  /** A stage is about to run a batch. May throw. */
  onStageBatch(host: OracleHost, batch: Batch): void;
}

/** A fault in the output of a step. */
export type OutputFault = "not-finite" | "wrong-length" | "step-error";

/** A device that runs hash chains, and fails as it is told to. */
export class OracleHost implements StageHost {
  readonly device;
  readonly lost: Promise<Error>;
  /** Makes the device be lost. */
  readonly lose: (error: Error) => void;
  readonly node: SimNode;
  readonly peerId: string;
  /** The latest one; null before the first. */
  stage: OracleStage | null = null;
  /** Steps take this many times longer. */
  slowness = 1;
  /** What the next load fails with. */
  readonly loadFaults: Error[] = [];
  /** What the next steps fail with. */
  readonly stepFaults: OutputFault[] = [];
  /** Resolves when the device goes on; null while it does. */
  wedged: Promise<void> | null = null;
  readonly #plan: DevicePlan;
  readonly #hiddenSize: number;
  readonly #tap: HostTap;

  constructor({ plan, hiddenSize, node, peerId, tap }: {
    readonly plan: DevicePlan;
    readonly hiddenSize: number;
    readonly node: SimNode;
    readonly peerId: string;
    readonly tap: HostTap;
  }) {
    this.#plan = plan;
    this.#hiddenSize = hiddenSize;
    this.#tap = tap;
    this.node = node;
    this.peerId = peerId;
    ({ promise: this.lost, resolve: this.lose } = Promise.withResolvers<Error>());
    this.device = {
      adapterName: "Hash chains",
      backend: "dawn",
      isSoftware: true,
      hasF16: false,
      subgroupSize: 0,
      maxBindingBytes: 1 << 30,
      usesF16Kv: false,
      readGBps: plan.readGBps,
      matmulGflops: 1,
    } as const;
  }

  async load(
    { manifest, shard, limits }: LoadRequest,
    { readFromCoordinator, onProgress, signal }: Parameters<StageHost["load"]>[1],
  ): Promise<HostedStage> {
    if (this.stage !== null && !this.stage.isClosed) throw new Error("The device is in use");
    const totalBytes = manifest.tensors.reduce((sum, { byteLength }) => sum + byteLength, 0);
    let downloadedBytes = 0;
    for (const { file, offset, byteLength } of someOf(manifest.tensors)) {
      signal?.throwIfAborted();
      const { key } = manifest.files[file]!;
      const bytes = await readFromCoordinator(key, { start: offset, end: offset + byteLength });
      downloadedBytes += bytes.length;
      onProgress?.({ loadedBytes: downloadedBytes, totalBytes, downloadedBytes });
    }
    // The rest of the shard, and its known-answer test.
    await this.node.sleep(this.#plan.loadMs, signal);
    await this.wedged;
    const fault = this.loadFaults.shift();
    if (fault !== undefined) throw fault;
    signal?.throwIfAborted();
    const state = { loadedBytes: totalBytes, totalBytes, downloadedBytes };
    const layers = new OracleLayers({ shard, limits, hiddenSize: this.#hiddenSize });
    this.stage = new OracleStage({ shard, state, layers, host: this });
    return this.stage;
  }

  close(): void {
    this.stage?.close();
  }

  /** Called by the stage, in the order of its steps. */
  checkBatch(batch: Batch): void {
    this.#tap.onStageBatch(this, batch);
  }

  async spendTime(batch: Batch): Promise<void> {
    const { stepMs, tokenMs } = this.#plan;
    await this.node.sleep(this.slowness * (stepMs + tokenMs * numBatchTokens(batch)));
    await this.wedged;
  }
}

/** A few tensors stand for all of them. */
function someOf<T>(tensors: readonly T[]): readonly T[] {
  return tensors.filter((_, i) => i % 8 === 0);
}

/** A loaded shard. */
export class OracleStage implements HostedStage {
  readonly shard: Shard;
  readonly state: LoadState;
  readonly memoryBytes = 1000;
  isClosed = false;
  readonly #layers: OracleLayers;
  readonly #host: OracleHost;
  #lastStep: Promise<unknown> = Promise.resolve();

  constructor({ shard, state, layers, host }: {
    readonly shard: Shard;
    readonly state: LoadState;
    readonly layers: OracleLayers;
    readonly host: OracleHost;
  }) {
    this.shard = shard;
    this.state = state;
    this.#layers = layers;
    this.#host = host;
  }

  async forward(batch: Batch, hidden: Float32Array | null): Promise<StageOutput> {
    if (this.isClosed) throw new Error("The stage is closed");
    this.#host.checkBatch(batch);
    const step = this.#lastStep.catch(() => {}).then(() => this.#run(batch, hidden));
    this.#lastStep = step;
    return await step;
  }

  close(): void {
    this.isClosed = true;
  }

  async #run(batch: Batch, hidden: Float32Array | null): Promise<StageOutput> {
    await this.#host.spendTime(batch);
    if (this.isClosed) throw new Error("The stage is closed");
    const fault = this.#host.stepFaults.shift();
    if (fault === "step-error") throw new Error("Out of luck");
    const output = this.#layers.run(batch, hidden);
    return fault === undefined ? output : broken(output, fault);
  }
}

function broken(output: StageOutput, fault: OutputFault): StageOutput {
  if (fault === "wrong-length") {
    return output.type === "hidden"
      ? { type: "hidden", values: output.values.slice(1) }
      : { type: "tokens", tokens: [...output.tokens, { sequenceId: 1 << 20, tokenId: 0 }] };
  }
  if (output.type === "hidden") {
    const values = output.values.slice();
    values[values.length - 1] = values.length % 2 === 0 ? NaN : Infinity;
    return { type: "hidden", values };
  }
  const tokens = output.tokens.map((token) => ({ ...token, tokenId: 0xffff_ffff }));
  return { type: "tokens", tokens };
}
