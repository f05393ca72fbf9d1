import { attentionDecodeCases } from "./attention_decode.bench.ts";
import { attentionPrefillCases } from "./attention_prefill.bench.ts";
import { copyBlocksCases } from "./copy_blocks.bench.ts";
import { copyTokensCases } from "./copy_tokens.bench.ts";
import { embedCases } from "./embed.bench.ts";
import type { CasesOf } from "./kernel_case.ts";
import { kvStoreCases } from "./kv_store.bench.ts";
import { matmulCases } from "./matmul.bench.ts";
import { matvecCases } from "./matvec.bench.ts";
import { penalizeCases } from "./penalize.bench.ts";
import { rmsNormCases } from "./rms_norm.bench.ts";
import { ropeCases } from "./rope.bench.ts";
import { sampleCases } from "./sample.bench.ts";
import { siluMulCases } from "./silu_mul.bench.ts";

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
  silu_mul: siluMulCases,
  sample: sampleCases,
  penalize: penalizeCases,
  copy_tokens: copyTokensCases,
  copy_blocks: copyBlocksCases,
};
