import { BLOCK_SIZE } from "../src/core.ts";
import type { Pipeline } from "../src/pipeline/pipeline.ts";
import { promptOf } from "./batches.ts";
import { GREEDY } from "./operands.ts";

/** One sequence: a prompt, and tokens that follow it greedily. */
export interface CheckedRun {
  readonly vocabSize: number;
  readonly promptTokens: number;
  readonly decodeTokens: number;
  /** Most prompt tokens of a step. */
  readonly chunkTokens: number;
}

/**
 * Prefills a prompt and decodes after it, and looks at every logit of its last token and of the
 * decoded ones: what a layer made of any token reaches them. Throws an Error that names the first
 * that is not finite.
 */
export async function checkLogits(
  pipeline: Pick<Pipeline, "forward">,
  run: CheckedRun,
): Promise<void> {
  const { vocabSize, promptTokens, decodeTokens, chunkTokens } = run;
  const prompt = promptOf({ length: promptTokens, seed: 1, vocabSize });
  const forward = async (tokenIds: readonly number[], position: number, wantsLogits: boolean) => {
    const numBlocks = Math.ceil((position + tokenIds.length) / BLOCK_SIZE);
    const [output] = await pipeline.forward({
      stepId: position,
      slices: [{
        ...{ sequenceId: 0, slot: 0, startPosition: position },
        tokenIds: Uint32Array.from(tokenIds),
        blockTable: Uint32Array.from({ length: numBlocks }, (_, block) => block),
        ...(wantsLogits && { sample: { ...GREEDY, wantsLogits } }),
      }],
    });
    return output;
  };
  const last = promptTokens - 1;
  for (let at = 0; at < last; at += chunkTokens) {
    await forward(prompt.slice(at, Math.min(last, at + chunkTokens)), at, false);
  }
  let tokenId = prompt[last] ?? 0;
  for (let position = last; position <= last + decodeTokens; position++) {
    const output = await forward([tokenId], position, true);
    const logits = output?.logits ?? new Float32Array();
    if (logits.length !== vocabSize) {
      throw new Error(`Position ${position} has ${logits.length} logits of ${vocabSize}`);
    }
    const stray = logits.findIndex((logit) => !Number.isFinite(logit));
    if (stray >= 0) {
      throw new Error(`Logit ${stray} at position ${position} is ${logits[stray]}`);
    }
    tokenId = output?.tokenId ?? 0;
  }
}
