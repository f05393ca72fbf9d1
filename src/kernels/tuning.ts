import type { GpuCapabilities } from "../gpu/context.ts";

/** Choices that change speed, and the last bits of a result, but not its meaning. Fixed for a run. */
export interface Tuning {
  /**
   * Same bits for a token whatever else is in the batch and however its prompt was cut: no kernel
   * is used whose order of additions depends on the number of tokens.
   */
  readonly isDeterministic: boolean;
  /** Threads that share the sum of one row in matvec. */
  readonly matvecLanes: number;
  /** Most tokens that share one read of the weights in matvec: 1, 2, 4 or 8. Broadcasts take 8. */
  readonly matvecTokens: number;
  /** Use subgroup operations where a kernel has them. */
  readonly useSubgroups: boolean;
  /** Share matmul's sums for few tokens among groups of threads, so that they fill a large device. */
  readonly sliceFewTokens: boolean;
  /** Keep matmul's tiles in f16; sums stay f32. Rounds inputs to 11 bits. */
  readonly useF16Tiles: boolean;
  /** Keep K and V as f16. */
  readonly useF16Kv: boolean;
}

/** The choices for a device before any measurement; `chosen` overrides them. */
export function defaultTuning(
  capabilities: GpuCapabilities,
  chosen: Partial<Tuning> = {},
): Tuning {
  const { isSoftware, subgroupSize } = capabilities;
  const isDeterministic = chosen.isDeterministic ?? isSoftware;
  return {
    isDeterministic,
    // A CPU gains from one thread a row: inputs are loaded once for all, and nothing is joined.
    matvecLanes: isSoftware ? 1 : subgroupSize || 32,
    // Without broadcasts, more spill the 16 registers of a CPU.
    matvecTokens: isSoftware ? 4 : 8,
    useSubgroups: subgroupSize > 0,
    sliceFewTokens: !isSoftware,
    useF16Tiles: false,
    useF16Kv: !isDeterministic,
    ...chosen,
  };
}
