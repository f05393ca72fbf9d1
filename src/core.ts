/**
 * The nouns that cross folders. Plain data: no GPU, no network, no text, no runtime.
 *
 * @module
 */

/** How the next token of a sequence is chosen. Text-level stops live in server/, not here. */
export interface SamplingParams {
  /** Most tokens to generate. */
  readonly maxTokens: number;
  /** 0 means greedy: the highest logit, the lowest id on a tie. */
  readonly temperature: number;
  /** Nucleus: smallest set of tokens whose probability reaches it; 1 keeps all. */
  readonly topP: number;
  /** Keep this many tokens; 0 keeps all. */
  readonly topK: number;
  /** Keep tokens with at least this share of the most probable one; 0 keeps all. */
  readonly minP: number;
  /** 32-bit seed of the counter-based generator; same seed, same tokens. */
  readonly seed: number;
  /** Subtracted once from the logit of every token generated so far. */
  readonly presencePenalty: number;
  /** Subtracted from a generated token's logit for each time it appeared. */
  readonly frequencyPenalty: number;
  /** Divides positive and multiplies negative logits of tokens seen in prompt or output; 1 is off. */
  readonly repetitionPenalty: number;
  /** Token ids that end the sequence and are not part of its text. */
  readonly stopTokenIds: readonly number[];
}

/** Greedy decoding of at most 16 tokens, nothing penalised: the base that callers spread over. */
export const DEFAULT_SAMPLING: SamplingParams = {
  maxTokens: 16,
  temperature: 0,
  topP: 1,
  topK: 0,
  minP: 0,
  seed: 0,
  presencePenalty: 0,
  frequencyPenalty: 0,
  repetitionPenalty: 1,
  stopTokenIds: [],
};

/** Why a sequence ended: a stop token, its length limit, or the caller. */
export type FinishReason = "stop" | "length" | "abort";

/** How a weight's bytes are stored; the names are GGUF's. */
export type WeightFormat =
  | "f32"
  | "f16"
  | "bf16"
  | "q4_0"
  | "q4_1"
  | "q8_0"
  | "q4_k"
  | "q6_k";

/** Interactive sequences go before those of batch jobs. */
export type Priority = "interactive" | "batch";

/** KV slots in one block. */
export const BLOCK_SIZE = 16;

/**
 * What the sampling stage needs to draw one token. Stateless: everything comes with the batch, so
 * that any stage can draw it again after a recovery.
 */
export interface SampleRequest {
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly minP: number;
  readonly seed: number;
  /** How many tokens the sequence had generated before this one: the counter of the generator. */
  readonly tokenIndex: number;
  /** Present only when a penalty is on. */
  readonly penalties?: PenaltyRequest;
  /** Also return the logits of every token of the slice, for scoring and verification. */
  readonly wantsLogits?: boolean;
}

/** Token counts of one sequence, for the penalties. */
export interface PenaltyRequest {
  readonly presence: number;
  readonly frequency: number;
  readonly repetition: number;
  /** Distinct token ids of prompt and output. */
  readonly tokenIds: Uint32Array;
  /** Times each id appears in the output, parallel to `tokenIds`; 0 if in the prompt only. */
  readonly outputCounts: Uint32Array;
}

/** A block whose content another one starts with. */
export interface BlockCopy {
  readonly from: number;
  readonly to: number;
}

/** Moves of a sequence's linear-attention state between its slot and the saved states. */
export interface StateMoves {
  /** Saved state that the slice starts from, in place of what the slot holds. */
  readonly restoreFrom?: number;
  /** Saved state that becomes what the slot holds after the slice. */
  readonly saveTo?: number;
}

/** One sequence's share of a batch: consecutive tokens at consecutive positions. */
export interface BatchSlice {
  readonly sequenceId: number;
  /**
   * The sequence's place among those that run, [0, maxSequences): where the last stage keeps the
   * token it drew, and where a stage with linear attention keeps the state, which a slice at
   * position 0 starts from nothing.
   */
  readonly slot: number;
  /** Position in the sequence of the slice's first token. */
  readonly startPosition: number;
  /** Tokens of this slice, at least 1. A decode has exactly 1. */
  readonly tokenIds: Uint32Array;
  /**
   * The slice is one token that the coordinator does not know yet: the one drawn last in `slot`, by
   * this sequence. `tokenIds` holds 0 in its place. Only for a stage that has embedding and head.
   */
  readonly takesDrawn?: boolean;
  /** All blocks of the sequence so far, covering positions [0, startPosition + tokenIds.length). */
  readonly blockTable: Uint32Array;
  /** Copied before any token of the batch is written, in the order of the slices. */
  readonly blockCopy?: BlockCopy;
  /** Only for models with linear attention. */
  readonly stateMoves?: StateMoves;
  /** Set when the slice ends at the newest known token: draw the next one. */
  readonly sample?: SampleRequest;
}

/** What one step runs. Decided by the scheduler on the coordinator; stages only obey. */
export interface Batch {
  readonly stepId: number;
  readonly slices: readonly BatchSlice[];
}

/** Tokens in a batch, over all slices. */
export function numBatchTokens(batch: Batch): number {
  let numTokens = 0;
  for (const slice of batch.slices) numTokens += slice.tokenIds.length;
  return numTokens;
}

/** One drawn token, on its way up. */
export interface TokenOutput {
  readonly sequenceId: number;
  readonly tokenId: number;
  /** f32 [tokens of the slice, vocabSize], only if the request wanted them; after penalties. */
  readonly logits?: Float32Array;
}

/** The layers `[startLayer, endLayer)` of a model, and whether its ends belong to the shard. */
export interface Shard {
  readonly startLayer: number;
  readonly endLayer: number;
  readonly hasEmbedding: boolean;
  readonly hasHead: boolean;
}

/** Cuts `numLayers` layers into `numStages` contiguous shards of nearly equal size. */
export function splitLayers(numLayers: number, numStages: number): Shard[] {
  if (!Number.isInteger(numStages) || numStages < 1 || numStages > numLayers) {
    throw new RangeError(
      `Cannot split ${numLayers} layers into ${numStages} stages: use 1 to ${numLayers}`,
    );
  }
  return Array.from({ length: numStages }, (_, stage) => ({
    startLayer: Math.floor((stage * numLayers) / numStages),
    endLayer: Math.floor(((stage + 1) * numLayers) / numStages),
    hasEmbedding: stage === 0,
    hasHead: stage === numStages - 1,
  }));
}

/** Rotary position embedding of a model. */
export interface RopeConfig {
  readonly theta: number;
  /** Leading dimensions of a head that rotate; the rest pass through. */
  readonly rotaryDim: number;
  /** Pairs are (2i, 2i+1) as GGUF's llama stores them, else (i, i + rotaryDim/2). */
  readonly isInterleaved: boolean;
  readonly scaling:
    | { readonly type: "none" }
    | { readonly type: "linear"; readonly factor: number }
    | {
      readonly type: "llama3";
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxPositions: number;
    }
    /** Arxiv 2309.00071: long waves are stretched by `factor`, short ones kept, a ramp between. */
    | {
      readonly type: "yarn";
      readonly factor: number;
      /** Turns within the original length of the last wave that is kept, the first stretched. */
      readonly betaFast: number;
      readonly betaSlow: number;
      readonly originalMaxPositions: number;
      /** The ramp begins and ends at whole pairs. */
      readonly isTruncated: boolean;
      /** Factor of every cos and sin. */
      readonly attentionFactor: number;
      /** What `yarnMscale` of a model that scales its scores, too, takes; 0 for others. */
      readonly mscaleAllDim: number;
    }
    /** Divisors per pair, as GGUF's `rope_freqs.weight` stores them. */
    | { readonly type: "factors"; readonly factors: readonly number[] };
}

/** A parsed Hugging Face config.json, or what stands in for it. */
export type HfConfig = Readonly<Record<string, unknown>>;

/** Everything about a model that shapes, kernels and the scheduler need. Sizes in elements. */
export interface ModelConfig {
  /** Hugging Face `model_type`; the key of models/registry.ts. */
  readonly modelType: string;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly rmsNormEps: number;
  /** Norms multiply by 1 + weight. */
  readonly hasUnitOffsetNorms: boolean;
  /** Factor of the embedding's rows. */
  readonly embeddingScale: number;
  /** Factor of the scores of attention, usually 1 / sqrt(headDim). */
  readonly attentionScale: number;
  /** Logits are kept within (-logitCap, logitCap) by a tanh; null leaves them. */
  readonly logitCap: number | null;
  /** What the MLP does with its gate; the names are Hugging Face's. */
  readonly activation: "silu" | "gelu_pytorch_tanh";
  readonly rope: RopeConfig;
  /** Of layers with a sliding window, where theirs is another. */
  readonly slidingRope: RopeConfig | null;
  /** Longest sequence the model was trained for. */
  readonly maxPositions: number;
  /** The head reuses the embedding matrix. */
  readonly isTied: boolean;
  /** Which projections carry a bias vector: q, k and v; the attention's output; gate, up and down. */
  readonly hasQkvBias: boolean;
  readonly hasOutputBias: boolean;
  readonly hasMlpBias: boolean;
  /** RMS norm over each query and key head before rope. */
  readonly hasQkNorm: boolean;
  /** That norm runs over the columns of all heads together, queries and keys apart. */
  readonly hasWholeQkNorm: boolean;
  /** Each query head has a gate beside it, whose sigmoid multiplies what the head attends to. */
  readonly hasOutputGate: boolean;
  /** Per layer: how many latest positions a query sees; null means all. */
  readonly slidingWindows: readonly (number | null)[];
  /** Keys and values by way of a latent that all heads share; null where heads have their own. */
  readonly latentAttention: LatentAttentionConfig | null;
  /** Experts in place of some layers' MLP; null where every layer has one MLP. */
  readonly moe: MoeConfig | null;
  /** Linear attention in place of some layers' attention; null for none. */
  readonly linear: LinearConfig | null;
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
}

/** Multi-head latent attention (arXiv 2405.04434). Sizes in elements. */
export interface LatentAttentionConfig {
  /** Of the latent that queries come from; null where they come from the hidden states. */
  readonly queryRank: number | null;
  /** Of the latent that is kept, from which each head's key and value follow. */
  readonly latentDim: number;
  /** Of a query or key head: what does not turn, and what does, which is one key for all heads. */
  readonly nopeDim: number;
  readonly ropeDim: number;
  readonly valueDim: number;
  /** Factor of the scores. */
  readonly scoreScale: number;
}

/** Sizes of a linear attention, as config.json names them. */
export interface LinearShape {
  readonly numKeyHeads: number;
  /** A multiple of `numKeyHeads`. */
  readonly numValueHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  /** Inputs that the convolution sees: at least 2. */
  readonly convKernel: number;
}

/** Which layers have linear attention, and of what size. */
export interface LinearConfig extends LinearShape {
  readonly isLinear: readonly boolean[];
}

/** How a token's experts are found and weighed, and what an expert is. Sizes in elements. */
export interface MoeConfig {
  readonly numExperts: number;
  readonly numExpertsPerToken: number;
  /** Columns between an expert's matrices. */
  readonly expertSize: number;
  /** Per layer: experts, else an MLP of `intermediateSize`. */
  readonly isSparse: readonly boolean[];
  /**
   * What router logits become: a softmax over all experts or a sigmoid, of which the highest are
   * chosen; or the highest logits are chosen, then a softmax over these.
   */
  readonly scoring: "softmax" | "sigmoid" | "softmax-of-chosen";
  /** A vector that counts in the choice, not in the weights. */
  readonly hasCorrectionBias: boolean;
  /** A vector that is added to the router's logits. */
  readonly hasRouterBias: boolean;
  /** Divides the chosen weights by their sum + `normEpsilon`. */
  readonly isNormalised: boolean;
  readonly normEpsilon: number;
  /** The weights' last factor. */
  readonly scale: number;
  /** Experts are chosen within the best groups, of equal size; null for one group. */
  readonly groups: {
    readonly numGroups: number;
    readonly numChosen: number;
    /** A group's worth: its best expert, or its best two together. */
    readonly score: "max" | "top2-sum";
  } | null;
  /** An MLP for every token beside the experts; `isGated`: times the sigmoid of a projection. */
  readonly shared: {
    readonly size: number;
    readonly isGated: boolean;
    /** Of gate, up and down; none where left out. */
    readonly hasBias?: boolean;
  } | null;
  readonly activation: ExpertActivation;
  /** Vectors are added to what an expert's matrices give. */
  readonly hasExpertBias: boolean;
}

/**
 * What an expert does between its matrices: silu(gate) * up; or gpt-oss's
 * (min(up, limit) + 1) * gate * sigmoid(alpha * gate), with both clamped. Interleaved rows are gate
 * and up in turn, else all of gate come first.
 */
export type ExpertActivation =
  | { readonly type: "silu" }
  | {
    readonly type: "clamped-swiglu";
    readonly limit: number;
    readonly alpha: number;
    readonly isInterleaved: boolean;
  };

/** A sequence as the scheduler keeps it: its tokens and where their K and V live. */
export interface Sequence {
  readonly id: number;
  readonly sampling: SamplingParams;
  readonly numPromptTokens: number;
  /** Prompt, then output. Grows at the end only. */
  readonly tokenIds: number[];
  /** Tokens whose K and V are in the cache: a prefix of `tokenIds`. */
  numCachedTokens: number;
  /** Blocks that hold them, in order. */
  readonly blockTable: number[];
}
