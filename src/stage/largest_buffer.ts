import { formatBytes } from "../gpu/buffer.ts";
import { type Architecture, largestStateBytes } from "../models/architecture.ts";
import { bufferSizes, type BufferSizesRequest, numStateSlots } from "./buffer_sizes.ts";

/** The buffer of a stage that asks most of a device's bindings: kernels bind each as a whole. */
export interface LargestBuffer {
  /** For people. */
  readonly what: string;
  readonly sizeBytes: number;
  /** What the owner may change to make it smaller. */
  readonly advice: string;
}

/** Beside weights, which are cut, and K and V, whose pool goes by what its devices bind. */
export function largestBuffer(
  request: BufferSizesRequest & { readonly architecture: Pick<Architecture, "layerMemory"> },
): LargestBuffer {
  const { scratch, batch, head } = bufferSizes(request);
  const layers = bufferSizes({ ...request, hasHead: false });
  const stateBytes = numStateSlots(request.limits) * largestStateBytes(request);
  const largest = (sizes: readonly (number | undefined)[]) =>
    Math.max(...sizes.map((size) => size ?? 0));
  const fewerTokens = "use fewer tokens in a step (--max-batch-tokens)";
  const fewerSequences = "use fewer sequences (--max-sequences)";
  const buffers: readonly LargestBuffer[] = [
    {
      what: "results between kernels",
      sizeBytes: largest(layers.scratch.sizes),
      advice: fewerTokens,
    },
    { what: "logits", sizeBytes: largest(scratch.sizes), advice: fewerSequences },
    { what: "states of a layer", sizeBytes: stateBytes, advice: fewerSequences },
    {
      what: "penalised tokens",
      sizeBytes: request.hasHead ? head.penaltyEntries : 0,
      advice: fewerSequences,
    },
    {
      what: "angles of positions",
      sizeBytes: largest([batch.angles, batch.slidingAngles]),
      advice: "use shorter sequences (--max-model-length)",
    },
  ];
  return buffers.reduce((most, buffer) => buffer.sizeBytes > most.sizeBytes ? buffer : most);
}

/** Why a device cannot bind the buffer, for people. */
export function describeBinding(
  { what, sizeBytes, advice }: LargestBuffer,
  { name, maxBindingBytes }: { readonly name: string; readonly maxBindingBytes: number },
): string {
  return `A buffer of "${name}" binds ${formatBytes(maxBindingBytes)} at most, and ${what} take ` +
    `${formatBytes(sizeBytes)}: ${advice}`;
}
