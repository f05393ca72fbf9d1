import type { HfConfig, WeightFormat } from "../src/core.ts";
import type { TensorEntry } from "../src/formats/tensor_entry.ts";
import { nativeBytes, WEIGHT_FORMATS } from "../src/formats/weight_format.ts";
import { architectureOf } from "../src/models/registry.ts";
import type { ModelSource } from "../src/weights/model_source.ts";
import { randomTile } from "./weight_tile.ts";

/** A tensor to be, by name. */
interface SyntheticTensor {
  readonly format: WeightFormat;
  readonly shape: readonly number[];
}

/**
 * A model of random weights that exists nowhere: tensors are made as they are read, the same ones
 * each time, so a model of any size costs a few MiB of memory. Matrices are in `format`, or in
 * Q8_0 or F32 where its blocks do not divide their rows, and in F16 where they are turned while they
 * load, which no blocks can be; vectors are F32 near 1.
 */
export function syntheticModel(
  hfConfig: HfConfig,
  { name, format }: { readonly name: string; readonly format: WeightFormat },
): ModelSource {
  const architecture = architectureOf(hfConfig);
  const config = architecture.readConfig(hfConfig);
  const wanted = new Map<string, SyntheticTensor>();
  const addMatrix = (tensorName: string, shape: readonly [number, number]) =>
    wanted.set(tensorName, { format: fittingFormat(format, shape[1]), shape });
  addMatrix("model.embed_tokens.weight", [config.vocabSize, config.hiddenSize]);
  if (!config.isTied) addMatrix("lm_head.weight", [config.vocabSize, config.hiddenSize]);
  wanted.set("model.norm.weight", { format: "f32", shape: [config.hiddenSize] });
  for (let layer = 0; layer < config.numLayers; layer++) {
    const { matrices, vectors } = architecture.layerTensors(config, layer);
    for (const { names, numRows, numCols, partRows, numTransposed } of Object.values(matrices)) {
      if (numTransposed !== undefined) {
        const shape = [numTransposed, numCols, numRows / numTransposed];
        for (const name of names) wanted.set(name, { format: transposable(format), shape });
        continue;
      }
      names.forEach((tensorName, i) =>
        addMatrix(tensorName, [partRows?.[i] ?? numRows / names.length, numCols])
      );
    }
    for (const { names, length, partLengths, shape: whole } of Object.values(vectors)) {
      names.forEach((tensorName, i) => {
        const shape = whole ?? [partLengths?.[i] ?? length / names.length];
        wanted.set(tensorName, { format: "f32", shape });
      });
    }
  }
  return syntheticTensors(wanted, { name, hfConfig });
}

/** A source of the tensors `wanted`. */
export function syntheticTensors(
  wanted: ReadonlyMap<string, SyntheticTensor>,
  { name, hfConfig }: { readonly name: string; readonly hfConfig: HfConfig },
): ModelSource {
  const tensors = new Map<string, TensorEntry>();
  for (const [tensorName, { format, shape }] of wanted) {
    const numRows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
    const byteLength = nativeBytes(format, numRows, shape.at(-1) ?? 0);
    tensors.set(tensorName, { name: tensorName, format, shape, offset: 0, byteLength });
  }
  const tiles = new Map<WeightFormat, Uint8Array>();
  const tileOf = (format: WeightFormat) => {
    const tile = tiles.get(format) ?? randomTile(format);
    tiles.set(format, tile);
    return tile;
  };
  const readTensor = (tensorName: string, range?: { start: number; end: number }) => {
    const entry = tensors.get(tensorName);
    if (entry === undefined) throw new RangeError(`There is no readable tensor "${tensorName}"`);
    const { start, end } = range ?? { start: 0, end: entry.byteLength };
    if (entry.shape.length === 1) return Promise.resolve(nearOne(end - start));
    const { blockBytes } = WEIGHT_FORMATS[entry.format];
    return Promise.resolve(
      repeatTile(tileOf(entry.format), hash(tensorName) * blockBytes + start, end - start),
    );
  };
  return {
    name,
    hfConfig,
    gguf: null,
    tensors,
    unreadable: new Map(),
    fileOf: () => null,
    readTensor,
    readText: () => Promise.resolve(null),
    close: () => Promise.resolve(),
  };
}

/** `format` where its blocks divide rows of `numCols`, else what holds any row. */
export function fittingFormat(format: WeightFormat, numCols: number): WeightFormat {
  const fits = (name: WeightFormat) => numCols % WEIGHT_FORMATS[name].blockSize === 0;
  return [format, "q8_0" as const].find(fits) ?? "f32";
}

/** `format` where it has no blocks, else F16. */
function transposable(format: WeightFormat): WeightFormat {
  return WEIGHT_FORMATS[format].blockSize === 1 ? format : "f16";
}

/** The first `length` bytes of the endless repetition of `tile`, from byte `start` on. */
function repeatTile(tile: Uint8Array, start: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const from = (start + at) % tile.length;
    const piece = tile.subarray(from, Math.min(tile.length, from + length - at));
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** F32 values from 0.75 to 1.25. */
function nearOne(numBytes: number): Uint8Array {
  const values = Float32Array.from({ length: numBytes / 4 }, (_, i) => 0.75 + (i * 37 % 64) / 128);
  return new Uint8Array(values.buffer);
}

/** FNV-1a of a name, 16 bits of it. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 16;
}
