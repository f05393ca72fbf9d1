/**
 * A shard's share of a model, opened from its manifest.
 *
 * @module
 */
import type { ModelSource } from "./model_source.ts";
import type { ManifestTensor, ShardManifest } from "./shard_manifest.ts";

/** Bytes [start, end) of a manifest's tensor, counted from its first one. */
export type ReadTensorRange = (
  tensor: ManifestTensor,
  range: { readonly start: number; readonly end: number },
) => Promise<Uint8Array>;

/** The tensors of `manifest` as a model that has no others, and no texts. */
export function openManifestModel(
  manifest: ShardManifest,
  { readRange }: { readonly readRange: ReadTensorRange },
): ModelSource {
  const tensors = new Map(manifest.tensors.map((tensor) => [tensor.name, tensor]));
  return {
    name: manifest.name,
    hfConfig: manifest.hfConfig,
    gguf: null,
    tensors,
    unreadable: new Map(),
    readTensor: async (name, range) => {
      const tensor = tensors.get(name);
      if (tensor === undefined) throw new RangeError(`There is no readable tensor "${name}"`);
      const { start, end } = range ?? { start: 0, end: tensor.byteLength };
      if (start < 0 || end < start || end > tensor.byteLength) {
        throw new RangeError(
          `Bytes [${start}, ${end}) are outside tensor "${name}" of ${tensor.byteLength} bytes`,
        );
      }
      return await readRange(tensor, { start, end });
    },
    fileOf: () => null,
    readText: () => Promise.resolve(null),
    close: () => Promise.resolve(),
  };
}
