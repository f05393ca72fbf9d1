import { transposed } from "../formats/transposed.ts";
import { dequantize, nativeBytes, planeBytes, repack } from "../formats/weight_format.ts";
import { allocate, destroyAll } from "../gpu/buffer.ts";
import type { GpuContext } from "../gpu/context.ts";
import type { Weight, WeightPart } from "../gpu/weight.ts";
import type { MatrixTensors, VectorTensors } from "../models/architecture.ts";
import { type ModelSource, requireTensor } from "../weights/model_source.ts";
import { type RowAnswer, rowAnswers, type WeightAnswer } from "./weight_answer.ts";
import { chunkRows, type PartPlan, planParts, type RowRange } from "./weight_plan.ts";

/** Bytes read from the model at a time; host memory stays a few times this, whatever the model. */
const CHUNK_BYTES = 8 << 20;

/** Uploaded bytes after which the device is waited for, so that its staging memory is reused. */
const FLUSH_BYTES = 64 << 20;

/** Called as tensors arrive on the device. */
export type LoadProgress = (loadedBytes: number) => void;

/** How a load is watched and stopped. */
export interface WeightLoaderOptions {
  readonly onProgress?: LoadProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Streams tensors from a model to the device, and frees them again. */
export class WeightLoader {
  readonly #context: GpuContext;
  readonly #source: ModelSource;
  readonly #options: WeightLoaderOptions;
  readonly #buffers: GPUBuffer[] = [];
  readonly #answers: WeightAnswer[] = [];
  #loadedBytes = 0;
  #unflushedBytes = 0;

  constructor(context: GpuContext, source: ModelSource, options: WeightLoaderOptions = {}) {
    this.#context = context;
    this.#source = source;
    this.#options = options;
  }

  /** What some rows of every weight so far must compute. */
  get answers(): readonly WeightAnswer[] {
    return this.#answers;
  }

  /** Bytes of GPU memory allocated so far. */
  get allocatedBytes(): number {
    return this.#buffers.reduce((total, buffer) => total + buffer.size, 0);
  }

  /**
   * Loads tensors under each other in their stored format.
   * Throws a FormatError for a missing tensor, a RangeError for an unexpected shape and a
   * GpuMemoryError when the device is full.
   */
  async matrix(matrix: MatrixTensors): Promise<Weight> {
    const { names, numRows, numCols, groupRows, numTransposed } = matrix;
    const plan = planParts(names.map((name) => requireTensor(this.#source, name)), {
      maxBytes: this.#context.capabilities.maxBindingBytes,
      groupRows,
      numTransposed,
    });
    if (plan.numRows !== numRows || plan.numCols !== numCols) {
      throw new RangeError(
        `Tensors "${nameOf(names)}" make [${plan.numRows}, ${plan.numCols}], but config.json ` +
          `wants [${numRows}, ${numCols}]`,
      );
    }
    const parts: WeightPart[] = [];
    const rows: RowAnswer[] = [];
    for (const part of plan.parts) parts.push(await this.#part(part, matrix, rows));
    const weight = { numRows, numCols, parts };
    this.#answers.push({ name: nameOf(names), weight, rows });
    return weight;
  }

  /** Loads tensors of one dimension end to end, widened to f32. Throws like `matrix`. */
  async vector({ names, length, shape: wanted }: VectorTensors): Promise<GPUBuffer> {
    const values = new Float32Array(length);
    let at = 0;
    for (const name of names) {
      const { format, shape } = requireTensor(this.#source, name);
      const numElements = wanted === undefined ? shape[0] ?? 1 : length;
      const fits = wanted === undefined ? shape.length === 1 : `${shape}` === `${wanted}`;
      if (!fits || at + numElements > length) {
        throw new RangeError(
          `Tensor "${name}" has shape [${shape}], expected [${wanted ?? length - at}]`,
        );
      }
      values.set(dequantize(format, await this.#source.readTensor(name), numElements), at);
      at += numElements;
    }
    if (at !== length) {
      throw new RangeError(`Tensors "${names.join('", "')}" make [${at}], expected [${length}]`);
    }
    const buffer = await this.#allocate(names.join(" + "), values.byteLength);
    const bytes = new Uint8Array(values.buffer);
    await this.#upload(buffer, 0, bytes);
    const row = { format: "f32", startRow: 0, numRows: 1 } as const;
    this.#answers.push({
      name: names.join(" + "),
      weight: { numRows: 1, numCols: length, parts: [{ ...row, buffer, planeWords: [0] }] },
      rows: rowAnswers(bytes, { ...row, numCols: length }),
    });
    return buffer;
  }

  destroy(): void {
    destroyAll(this.#context, this.#buffers.splice(0));
  }

  /** Loads one part; `answers` gets some of its rows'. */
  async #part(
    plan: PartPlan,
    { numCols, numTransposed }: MatrixTensors,
    answers: RowAnswer[],
  ): Promise<WeightPart> {
    const isTransposed = numTransposed !== undefined;
    const starts: number[] = [];
    let sizeBytes = 0;
    for (const bytes of plan.planes) {
      starts.push(sizeBytes);
      sizeBytes += bytes;
    }
    const names = plan.ranges.map(({ tensor }) => tensor.name);
    const buffer = await this.#allocate(nameOf(names), sizeBytes);
    const offsets = [...starts];
    let { startRow } = plan;
    for (const chunk of isTransposed ? plan.ranges : chunksOf(plan, numCols)) {
      const numRows = chunk.endRow - chunk.startRow;
      const stored = await this.#source.readTensor(chunk.tensor.name, {
        start: nativeBytes(plan.format, chunk.startRow, numCols),
        end: nativeBytes(plan.format, chunk.endRow, numCols),
      });
      const bytes = isTransposed ? transposed(stored, { numRows, numCols }) : stored;
      answers.push(...rowAnswers(bytes, { format: plan.format, startRow, numRows, numCols }));
      startRow += numRows;
      const sizes = planeBytes(plan.format, numRows, numCols);
      for (const [plane, data] of repack(plan.format, bytes, numRows, numCols).entries()) {
        await this.#upload(buffer, offsets[plane] ?? 0, data);
        offsets[plane] = (offsets[plane] ?? 0) + (sizes[plane] ?? 0);
      }
    }
    return {
      format: plan.format,
      startRow: plan.startRow,
      numRows: plan.numRows,
      buffer,
      planeWords: starts.map((start) => start / 4),
    };
  }

  async #allocate(label: string, sizeBytes: number): Promise<GPUBuffer> {
    const buffer = await allocate(this.#context, { label, sizeBytes });
    this.#buffers.push(buffer);
    return buffer;
  }

  async #upload(buffer: GPUBuffer, offset: number, data: Uint8Array): Promise<void> {
    this.#options.signal?.throwIfAborted();
    const { queue } = this.#context.device;
    queue.writeBuffer(buffer, offset, data as Uint8Array<ArrayBuffer>);
    this.#unflushedBytes += data.byteLength;
    this.#loadedBytes += data.byteLength;
    this.#options.onProgress?.(this.#loadedBytes);
    if (this.#unflushedBytes < FLUSH_BYTES) return;
    this.#unflushedBytes = 0;
    queue.submit([]);
    await this.#context.wait(queue.onSubmittedWorkDone());
  }
}

/** What a buffer is called; experts make it a long list. */
function nameOf(names: readonly string[]): string {
  const isLong = names.length > 4;
  return (isLong ? [names[0], `${names.length - 2} more`, names.at(-1)] : names).join(" + ");
}

function* chunksOf(plan: PartPlan, numCols: number): Generator<RowRange> {
  const step = chunkRows(plan.format, numCols, CHUNK_BYTES);
  for (const { tensor, startRow, endRow } of plan.ranges) {
    for (let row = startRow; row < endRow; row += step) {
      yield { tensor, startRow: row, endRow: Math.min(endRow, row + step) };
    }
  }
}
