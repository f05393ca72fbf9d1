/**
 * The block of experts that stands in place of an MLP: a router chooses some experts for each
 * token, and their outputs are added by weight.
 *
 * @module
 */
import type { ModelConfig, MoeConfig } from "../core.ts";
import type { Dispatch } from "../gpu/dispatch.ts";
import { projection } from "../kernels/projection.ts";
import { route } from "../kernels/route.ts";
import { siluMul } from "../kernels/silu_mul.ts";
import { type LayerRun, type LayerTensors, type MatrixTensors, operand } from "./architecture.ts";
import { chosenExperts, expertScratch, moeOf } from "./experts.ts";
import { tensorNames } from "./layer_tensors.ts";
import { normHidden } from "./norm_hidden.ts";

/** What a family calls the modules of the block; all but `block` are within it. */
export interface MoeNames {
  readonly block: string;
  readonly router: string;
  /** The whole tensor, not a module's weight. */
  readonly correctionBias: string;
  readonly gate: string;
  readonly up: string;
  readonly down: string;
  readonly shared: string;
  readonly sharedGate: string;
}

/** Names of Qwen, DeepSeek and GLM. */
export const MLP_EXPERTS: MoeNames = {
  block: "mlp",
  router: "gate",
  correctionBias: "gate.e_score_correction_bias",
  gate: "gate_proj",
  up: "up_proj",
  down: "down_proj",
  shared: "shared_experts",
  sharedGate: "shared_expert_gate",
};

/** Names of Mixtral and MiniMax. */
export const BLOCK_SPARSE_EXPERTS: MoeNames = {
  ...MLP_EXPERTS,
  block: "block_sparse_moe",
  correctionBias: "e_score_correction_bias",
  gate: "w1",
  up: "w3",
  down: "w2",
};

/** Tensors of the block in `layer`. Experts lie under each other, each one's gate above its up. */
export function moeTensors(config: ModelConfig, layer: number, names: MoeNames): LayerTensors {
  const { hiddenSize } = config;
  const moe = moeOf(config);
  const { numExperts, expertSize, shared } = moe;
  const { matrix, vector } = tensorNames(layer);
  const within = (...modules: string[]) => modules.map((name) => `${names.block}.${name}`);
  const experts = Array.from({ length: numExperts }, (_, expert) => `experts.${expert}`);
  const gateUps = experts.flatMap((expert) =>
    within(`${expert}.${names.gate}`, `${expert}.${names.up}`)
  );
  const downs = experts.flatMap((expert) => within(`${expert}.${names.down}`));
  const sharedGateUp = within(`${names.shared}.${names.gate}`, `${names.shared}.${names.up}`);
  return {
    matrices: {
      router: matrix(numExperts, hiddenSize, ...within(names.router)),
      expertGateUp: equalParts(
        matrix(2 * numExperts * expertSize, hiddenSize, ...gateUps),
        2 * expertSize,
      ),
      expertDown: equalParts(matrix(numExperts * hiddenSize, expertSize, ...downs), hiddenSize),
      ...(shared && {
        sharedGateUp: equalParts(matrix(2 * shared.size, hiddenSize, ...sharedGateUp)),
        sharedDown: matrix(hiddenSize, shared.size, ...within(`${names.shared}.${names.down}`)),
      }),
      ...(shared?.isGated && { sharedGate: matrix(1, hiddenSize, ...within(names.sharedGate)) }),
    },
    vectors: {
      mlpNorm: vector("weight", hiddenSize, "post_attention_layernorm"),
      ...(shared?.hasBias && {
        sharedGateUpBias: {
          ...vector("bias", 2 * shared.size, ...sharedGateUp),
          partLengths: [shared.size, shared.size],
        },
        sharedDownBias: vector("bias", hiddenSize, ...within(`${names.shared}.${names.down}`)),
      }),
      ...(moe.hasRouterBias && {
        routerBias: vector("bias", numExperts, ...within(names.router)),
      }),
      ...(moe.hasCorrectionBias && {
        correctionBias: {
          names: [`model.layers.${layer}.${names.block}.${names.correctionBias}`],
          length: numExperts,
        },
      }),
    },
  };
}

/** Widths of the buffers of the block. */
export function moeScratch(config: ModelConfig): Record<string, number> {
  const { numExperts, numExpertsPerToken, shared } = moeOf(config);
  return {
    normed: config.hiddenSize,
    routerLogits: numExperts,
    experts: numExpertsPerToken,
    expertWeights: numExpertsPerToken,
    ...expertScratch(config),
    ...(shared && { sharedGateUp: 2 * shared.size, sharedGated: shared.size }),
    ...(shared?.isGated && { sharedGate: 1 }),
  };
}

/** h += experts(norm(h)) + shared(norm(h)). */
export function moeBlock(run: LayerRun): Dispatch[] {
  const { kernels, config, scratch, shape: { numTokens } } = run;
  const { matrices, vectors } = run.weights;
  const moe = moeOf(config);
  const normed = operand(scratch, "normed");
  const logits = operand(scratch, "routerLogits");
  const experts = operand(scratch, "experts");
  const weights = operand(scratch, "expertWeights");
  // Rounded inputs would send tokens to other experts.
  const exact = { ...kernels, tuning: { ...kernels.tuning, useF16Tiles: false } };
  return [
    normHidden(run, "mlpNorm"),
    ...projection(exact, {
      weight: operand(matrices, "router"),
      x: normed,
      y: logits,
      bias: vectors["routerBias"] ?? null,
      numRows: numTokens,
    }),
    route(kernels, {
      moe,
      logits,
      correctionBias: vectors["correctionBias"] ?? null,
      experts,
      weights,
      numTokens,
    }),
    ...chosenExperts(run),
    ...(moe.shared ? sharedExpert(run, moe.shared) : []),
  ];
}

/** h += down(silu(gate) * up), times a sigmoid of the token's where it is gated. */
function sharedExpert(
  run: LayerRun,
  { size, isGated }: NonNullable<MoeConfig["shared"]>,
): Dispatch[] {
  const { kernels, hidden, scratch, shape: { numTokens } } = run;
  const { matrices, vectors } = run.weights;
  const normed = operand(scratch, "normed");
  const gateUp = operand(scratch, "sharedGateUp");
  const gated = operand(scratch, "sharedGated");
  const rowGate = isGated ? operand(scratch, "sharedGate") : null;
  const project = (name: string, x: GPUBuffer, y: GPUBuffer, accumulate = false) =>
    projection(kernels, {
      weight: operand(matrices, name),
      x,
      y,
      bias: vectors[`${name}Bias`] ?? null,
      accumulate,
      numRows: numTokens,
    });
  return [
    ...project("sharedGateUp", normed, gateUp),
    ...(rowGate ? project("sharedGate", normed, rowGate) : []),
    siluMul(kernels, { gateUp, y: gated, rowGate, numCols: size, numTokens }),
    ...project("sharedDown", gated, hidden, true),
  ];
}

/** Says that the tensors are of one height, and that `groupRows` of them stay in one buffer. */
function equalParts(matrix: MatrixTensors, groupRows?: number): MatrixTensors {
  const { names, numRows } = matrix;
  const partRows = names.map(() => numRows / names.length);
  return groupRows === undefined ? { ...matrix, partRows } : { ...matrix, partRows, groupRows };
}
