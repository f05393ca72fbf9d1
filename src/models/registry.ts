import type { HfConfig } from "../core.ts";
import type { Architecture } from "./architecture.ts";
import { ModelConfigError } from "./config_reader.ts";
import { gemma3 } from "./gemma3.ts";
import { gemma3Text } from "./gemma3_text.ts";
import { deepseekV2 } from "./deepseek_v2.ts";
import { deepseekV3 } from "./deepseek_v3.ts";
import { glm4Moe } from "./glm4_moe.ts";
import { gptOss } from "./gpt_oss.ts";
import { llama } from "./llama.ts";
import { minimaxM2 } from "./minimax_m2.ts";
import { mistral } from "./mistral.ts";
import { mixtral } from "./mixtral.ts";
import { qwen2 } from "./qwen2.ts";
import { qwen3 } from "./qwen3.ts";
import { qwen3Moe } from "./qwen3_moe.ts";
import { qwen3Next } from "./qwen3_next.ts";

/** Every architecture, by Hugging Face `model_type`. */
const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  llama,
  mistral,
  qwen2,
  qwen3,
  qwen3_moe: qwen3Moe,
  qwen3_next: qwen3Next,
  mixtral,
  minimax_m2: minimaxM2,
  glm4_moe: glm4Moe,
  gemma3,
  gemma3_text: gemma3Text,
  gpt_oss: gptOss,
  deepseek_v2: deepseekV2,
  deepseek_v3: deepseekV3,
};

/** The architecture of a config.json. Throws a ModelConfigError that lists what there is. */
export function architectureOf(hf: HfConfig): Architecture {
  const modelType = hf["model_type"];
  if (typeof modelType === "string" && Object.hasOwn(ARCHITECTURES, modelType)) {
    return ARCHITECTURES[modelType]!;
  }
  const known = Object.keys(ARCHITECTURES).map((name) => `"${name}"`).join(", ");
  throw new ModelConfigError(
    `Architecture "${String(modelType).slice(0, 80)}" is not supported yet: supported are ${known}`,
  );
}
