import { attentionDecodeCases } from "./attention_decode.bench.ts";
import { attentionPrefillCases } from "./attention_prefill.bench.ts";
import { combineExpertsCases } from "./combine_experts.bench.ts";
import { copyBlocksCases } from "./copy_blocks.bench.ts";
import { copyTokensCases } from "./copy_tokens.bench.ts";
import { embedCases } from "./embed.bench.ts";
import { expertDownCases } from "./expert_down.bench.ts";
import { expertGateUpCases } from "./expert_gate_up.bench.ts";
import { expertMatmulCases } from "./expert_matmul.bench.ts";
import { geluMulCases } from "./gelu_mul.bench.ts";
import type { CasesOf } from "./kernel_case.ts";
import { kvStoreCases } from "./kv_store.bench.ts";
import { latentAttentionCases } from "./latent_attention.bench.ts";
import { latentQueryCases } from "./latent_query.bench.ts";
import { latentStoreCases } from "./latent_store.bench.ts";
import { latentValueCases } from "./latent_value.bench.ts";
import { matmulCases } from "./matmul.bench.ts";
import { matvecCases } from "./matvec.bench.ts";
import { penalizeCases } from "./penalize.bench.ts";
import { rmsNormCases } from "./rms_norm.bench.ts";
import { ropeCases } from "./rope.bench.ts";
import { routeCases } from "./route.bench.ts";
import { sampleCases } from "./sample.bench.ts";
import { siluMulCases } from "./silu_mul.bench.ts";
import { causalConvCases } from "./causal_conv.bench.ts";
import { copyStatesCases } from "./copy_states.bench.ts";
import { deltaChunksCases } from "./delta_chunks.bench.ts";
import { deltaInputsCases } from "./delta_inputs.bench.ts";
import { deltaRuleCases } from "./delta_rule.bench.ts";
import { deltaSolveCases } from "./delta_solve.bench.ts";
import { gateHeadsCases } from "./gate_heads.bench.ts";
import { gatedNormCases } from "./gated_norm.bench.ts";
import { resizeHeadsCases } from "./resize_heads.bench.ts";
import { splitGateCases } from "./split_gate.bench.ts";
import { sortExpertsCases } from "./sort_experts.bench.ts";
import { softcapCases } from "./softcap.bench.ts";

/** The cases of every file of shaders/, by its stem. */
export const KERNEL_CASES: Readonly<Record<string, CasesOf>> = {
  embed: embedCases,
  rms_norm: rmsNormCases,
  matvec: matvecCases,
  matmul: matmulCases,
  rope: ropeCases,
  kv_store: kvStoreCases,
  attention_decode: attentionDecodeCases,
  attention_prefill: attentionPrefillCases,
  latent_store: latentStoreCases,
  latent_query: latentQueryCases,
  latent_attention: latentAttentionCases,
  latent_value: latentValueCases,
  silu_mul: siluMulCases,
  gelu_mul: geluMulCases,
  route: routeCases,
  expert_gate_up: expertGateUpCases,
  expert_down: expertDownCases,
  sort_experts: sortExpertsCases,
  expert_matmul: expertMatmulCases,
  combine_experts: combineExpertsCases,
  softcap: softcapCases,
  sample: sampleCases,
  penalize: penalizeCases,
  copy_tokens: copyTokensCases,
  copy_blocks: copyBlocksCases,
  causal_conv: causalConvCases,
  copy_states: copyStatesCases,
  delta_inputs: deltaInputsCases,
  delta_rule: deltaRuleCases,
  delta_solve: deltaSolveCases,
  delta_chunks: deltaChunksCases,
  gate_heads: gateHeadsCases,
  gated_norm: gatedNormCases,
  resize_heads: resizeHeadsCases,
  split_gate: splitGateCases,
};
