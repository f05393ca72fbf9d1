import type { ModelConfig, WeightFormat } from "../../src/core.ts";
import type { Dispatch } from "../../src/gpu/dispatch.ts";
import type { KernelContext } from "../../src/kernels/context.ts";
import type { Cost } from "../cost.ts";
import type { Operands } from "../operands.ts";

/** One kernel on one shape. */
export interface KernelCase {
  readonly kernel: string;
  /** For people, such as "8 x 1536x576". */
  readonly shape: string;
  readonly format: WeightFormat | null;
  /** Of one run. */
  readonly cost: Cost;
  /** The dispatches of each run; runs differ in their operands' addresses alone. */
  prepare(kernels: KernelContext, operands: Operands): Promise<Dispatch[][]>;
}

/** What cases are made for. */
export interface CaseScale {
  /** A model whose sizes the shapes are. */
  readonly config: ModelConfig;
  /** Models whose experts are benched. */
  readonly expertModels: readonly ModelConfig[];
  /** The one whose latent attention is. */
  readonly latentModel: ModelConfig;
  readonly formats: readonly WeightFormat[];
  /** Tokens of a prefill step. */
  readonly manyTokens: number;
  /** Sequence lengths for attention. */
  readonly lengths: readonly number[];
  /** K and V are f16. */
  readonly isF16Kv: boolean;
}

/** What a *.bench.ts file exports. */
export type CasesOf = (scale: CaseScale) => KernelCase[];
