/**
 * The tensor types that GGUF numbers, with the sizes that let a file be checked even where no
 * kernel reads the type. Numbers and sizes: `ggml.h`, PyPI `gguf` 0.19 `constants.py`.
 *
 * @module
 */
import type { WeightFormat } from "../core.ts";

/** One tensor type. */
export interface GgmlType {
  readonly name: string;
  /** Elements in a block. */
  readonly blockSize: number;
  readonly blockBytes: number;
  /** The format that kernels read it as. */
  readonly format?: WeightFormat;
}

/** By number in the file. */
export const GGML_TYPES: ReadonlyMap<number, GgmlType> = new Map<number, GgmlType>([
  [0, { name: "F32", blockSize: 1, blockBytes: 4, format: "f32" }],
  [1, { name: "F16", blockSize: 1, blockBytes: 2, format: "f16" }],
  [2, { name: "Q4_0", blockSize: 32, blockBytes: 18, format: "q4_0" }],
  [3, { name: "Q4_1", blockSize: 32, blockBytes: 20, format: "q4_1" }],
  [6, { name: "Q5_0", blockSize: 32, blockBytes: 22 }],
  [7, { name: "Q5_1", blockSize: 32, blockBytes: 24 }],
  [8, { name: "Q8_0", blockSize: 32, blockBytes: 34, format: "q8_0" }],
  [9, { name: "Q8_1", blockSize: 32, blockBytes: 40 }],
  [10, { name: "Q2_K", blockSize: 256, blockBytes: 84 }],
  [11, { name: "Q3_K", blockSize: 256, blockBytes: 110 }],
  [12, { name: "Q4_K", blockSize: 256, blockBytes: 144, format: "q4_k" }],
  [13, { name: "Q5_K", blockSize: 256, blockBytes: 176 }],
  [14, { name: "Q6_K", blockSize: 256, blockBytes: 210, format: "q6_k" }],
  [15, { name: "Q8_K", blockSize: 256, blockBytes: 292 }],
  [16, { name: "IQ2_XXS", blockSize: 256, blockBytes: 66 }],
  [17, { name: "IQ2_XS", blockSize: 256, blockBytes: 74 }],
  [18, { name: "IQ3_XXS", blockSize: 256, blockBytes: 98 }],
  [19, { name: "IQ1_S", blockSize: 256, blockBytes: 50 }],
  [20, { name: "IQ4_NL", blockSize: 32, blockBytes: 18 }],
  [21, { name: "IQ3_S", blockSize: 256, blockBytes: 110 }],
  [22, { name: "IQ2_S", blockSize: 256, blockBytes: 82 }],
  [23, { name: "IQ4_XS", blockSize: 256, blockBytes: 136 }],
  [24, { name: "I8", blockSize: 1, blockBytes: 1 }],
  [25, { name: "I16", blockSize: 1, blockBytes: 2 }],
  [26, { name: "I32", blockSize: 1, blockBytes: 4 }],
  [27, { name: "I64", blockSize: 1, blockBytes: 8 }],
  [28, { name: "F64", blockSize: 1, blockBytes: 8 }],
  [29, { name: "IQ1_M", blockSize: 256, blockBytes: 56 }],
  [30, { name: "BF16", blockSize: 1, blockBytes: 2, format: "bf16" }],
  [34, { name: "TQ1_0", blockSize: 256, blockBytes: 54 }],
  [35, { name: "TQ2_0", blockSize: 256, blockBytes: 66 }],
  [39, { name: "MXFP4", blockSize: 32, blockBytes: 17 }],
  [40, { name: "NVFP4", blockSize: 64, blockBytes: 36 }],
  [41, { name: "Q1_0", blockSize: 128, blockBytes: 18 }],
]);
