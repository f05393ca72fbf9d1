/**
 * Tessera as a library: load a model on a WebGPU device and generate, or answer OpenAI-style HTTP.
 *
 * @module
 */
export {
  type CapacityOptions,
  type Coordinator,
  type CoordinatorOptions,
  DEFAULT_CAPACITY,
  startCoordinator,
} from "./coordinator.ts";
export { DEFAULT_SAMPLING, type FinishReason, type SamplingParams } from "./core.ts";
export { Engine, type EngineOptions, type GenerateOptions, type TokenEvent } from "./engine.ts";
export {
  chooseAdapter,
  type GpuCapabilities,
  type GpuContext,
  openContext,
} from "./gpu/context.ts";
export { defaultTuning, type Tuning } from "./kernels/tuning.ts";
export type { ModelSource } from "./weights/model_source.ts";
export { VERSION } from "./version.ts";
