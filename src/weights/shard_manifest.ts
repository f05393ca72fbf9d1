/**
 * Where the tensors of a shard lie, so that a peer reads just those bytes.
 *
 * @module
 */
import type { HfConfig } from "../core.ts";
import type { TensorEntry } from "../formats/tensor_entry.ts";

/** A file of a model. */
export interface ManifestFile {
  /** Same content, same key: names the file in caches. Hexadecimal. */
  readonly key: string;
  readonly sizeBytes: number;
  /** Where anyone can read it by range; empty when only the coordinator has it. */
  readonly urls: readonly string[];
}

/** A tensor and the file it is in. */
export interface ManifestTensor extends TensorEntry {
  /** Index into `files`. */
  readonly file: number;
}

/** A shard's share of a model. */
export interface ShardManifest {
  /** The model's name. */
  readonly name: string;
  readonly hfConfig: HfConfig;
  readonly files: readonly ManifestFile[];
  /** Those that the shard needs and no others. */
  readonly tensors: readonly ManifestTensor[];
}
