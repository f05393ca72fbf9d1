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
  /** Use subgroup operations where a kernel has them. */
  readonly useSubgroups: boolean;
}

/** The choices for a device before any measurement. */
export function defaultTuning(
  capabilities: GpuCapabilities,
  options: { readonly isDeterministic?: boolean } = {},
): Tuning {
  const { isSoftware, subgroupSize } = capabilities;
  return {
    isDeterministic: options.isDeterministic ?? isSoftware,
    // A CPU gains from one thread a row: inputs are loaded once for all lanes, and nothing is joined.
    matvecLanes: isSoftware ? 1 : subgroupSize > 0 ? subgroupSize : 32,
    useSubgroups: subgroupSize > 0,
  };
}
