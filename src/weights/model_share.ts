import type { ByteSource } from "../formats/byte_source.ts";
import { fileKey } from "./file_key.ts";
import { type ModelSource, requireTensor } from "./model_source.ts";
import { isSharedUrl } from "./shared_url.ts";
import type { ManifestFile, ManifestTensor, ShardManifest } from "./shard_manifest.ts";

/** Most bytes of one read for a peer. */
export const MAX_SHARED_READ_BYTES = 8 << 20;

/** An open model as its parts are given to peers: where tensors lie, and ranges of its files. */
export class ModelShare {
  readonly #source: ModelSource;
  readonly #keys = new Map<ByteSource, Promise<string>>();
  readonly #files = new Map<string, ByteSource>();

  /** The source stays its owner's to close. */
  constructor(source: ModelSource) {
    this.#source = source;
  }

  /**
   * Where the tensors of a shard lie, in the order of `tensorNames`. Throws a FormatError for a
   * missing or unreadable tensor, and what reading a file for its key throws.
   */
  async manifest(tensorNames: readonly string[]): Promise<ShardManifest> {
    const files: ManifestFile[] = [];
    const indices = new Map<ByteSource, number>();
    const tensors: ManifestTensor[] = [];
    for (const name of new Set(tensorNames)) {
      const entry = requireTensor(this.#source, name);
      const file = this.#source.fileOf(name);
      if (file === null) {
        throw new Error(`"${this.#source.name}" lies in no file, so peers cannot read it`);
      }
      let index = indices.get(file);
      if (index === undefined) {
        indices.set(file, index = files.length);
        files.push(await this.#describe(file));
      }
      tensors.push({ ...entry, file: index });
    }
    return { name: this.#source.name, hfConfig: this.#source.hfConfig, files, tensors };
  }

  /**
   * Bytes [start, end) of a file that a manifest named. Throws a RangeError for another file, bytes
   * outside it and more than MAX_SHARED_READ_BYTES.
   */
  async readFile(
    key: string,
    { start, end }: { readonly start: number; readonly end: number },
  ): Promise<Uint8Array> {
    const file = this.#files.get(key);
    if (file === undefined) throw new RangeError(`No shared file has the key "${key}"`);
    const isRange = Number.isSafeInteger(start) && Number.isSafeInteger(end) &&
      0 <= start && start <= end && end <= file.size;
    if (!isRange) {
      throw new RangeError(`Bytes [${start}, ${end}) are outside a file of ${file.size} bytes`);
    }
    if (end - start > MAX_SHARED_READ_BYTES) {
      throw new RangeError(
        `A read of ${end - start} bytes is too long: ask for at most ${MAX_SHARED_READ_BYTES}`,
      );
    }
    return await file.read(start, end);
  }

  async #describe(file: ByteSource): Promise<ManifestFile> {
    let key = this.#keys.get(file);
    if (key === undefined) {
      this.#keys.set(file, key = fileKey(file));
      key.catch(() => this.#keys.delete(file));
    }
    const urls = (file.origin?.urls ?? []).filter(isSharedUrl);
    this.#files.set(await key, file);
    return { key: await key, sizeBytes: file.size, urls };
  }
}
