/**
 * The tensors of a model, and reads of their bytes, whatever files they lie in.
 *
 * @module
 */
import type { ByteSource } from "../formats/byte_source.ts";
import type { ListedTensor, TensorEntry } from "../formats/tensor_entry.ts";

/** Tensors sorted by whether kernels read their format. */
export class TensorIndex {
  readonly tensors = new Map<string, TensorEntry>();
  readonly unreadable = new Map<string, string>();
  readonly #sources = new Map<string, ByteSource>();

  /** Lists `tensor` of `source` under `name`. */
  add(name: string, { tensor, source }: { tensor: ListedTensor; source: ByteSource }): void {
    const { format, typeName, shape, offset, byteLength } = tensor;
    if (format === null) {
      this.unreadable.set(name, typeName);
    } else {
      this.tensors.set(name, { name, format, shape, offset, byteLength });
      this.#sources.set(name, source);
    }
  }

  /** The file that holds the tensor; null when there is no such tensor. */
  fileOf(name: string): ByteSource | null {
    return this.#sources.get(name) ?? null;
  }

  /** Bytes of the tensor, or those at `range` within it. Throws a RangeError. */
  async read(
    name: string,
    { start, end }: { start: number; end: number } = {
      start: 0,
      end: this.tensors.get(name)?.byteLength ?? 0,
    },
  ): Promise<Uint8Array> {
    const entry = this.tensors.get(name);
    const source = this.#sources.get(name);
    if (!entry || !source) throw new RangeError(`There is no readable tensor "${name}"`);
    if (start < 0 || end < start || end > entry.byteLength) {
      throw new RangeError(
        `Bytes [${start}, ${end}) are outside tensor "${name}" of ${entry.byteLength} bytes`,
      );
    }
    return await source.read(entry.offset + start, entry.offset + end);
  }
}
