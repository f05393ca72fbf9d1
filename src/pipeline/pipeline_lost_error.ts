/** A pipeline is gone, with all that its stages cached; its sequences can run on another. */
export class PipelineLostError extends Error {
  override readonly name = "PipelineLostError";
}
