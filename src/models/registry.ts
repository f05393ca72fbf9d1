import type { HfConfig } from "../core.ts";
import type { Architecture } from "./architecture.ts";
import { ModelConfigError } from "./config_reader.ts";
import { llama } from "./llama.ts";
import { mistral } from "./mistral.ts";
import { qwen2 } from "./qwen2.ts";
import { qwen3 } from "./qwen3.ts";

/** Every architecture, by Hugging Face `model_type`. */
const ARCHITECTURES: Readonly<Record<string, Architecture>> = { llama, mistral, qwen2, qwen3 };

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
