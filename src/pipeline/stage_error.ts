/** A batch was lost in one stage of a pipeline. The reason is in `cause`. */
export class StageError extends Error {
  override readonly name = "StageError";
  readonly stepId: number;
  /** Place of the stage in the pipeline, from 0. */
  readonly stageIndex: number;

  constructor({ stepId, stageIndex, cause }: {
    readonly stepId: number;
    readonly stageIndex: number;
    readonly cause: unknown;
  }) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(`Step "${stepId}" failed in stage "${stageIndex}": ${reason}`, { cause });
    this.stepId = stepId;
    this.stageIndex = stageIndex;
  }
}
