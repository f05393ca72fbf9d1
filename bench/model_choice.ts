import { openLocalModel } from "../src/cli/open_model.ts";
import type { ModelSource } from "../src/weights/model_source.ts";
import { DEFAULT_MODEL } from "../src/weights/open_model.ts";
import { type BenchOptions, OptionError } from "./options.ts";
import { SHAPES } from "./shapes.ts";
import { syntheticModel } from "./synthetic_model.ts";

/** The model of `--model`, or random weights of `--shape`. Throws what opening throws. */
export async function openBenchModel(options: BenchOptions): Promise<ModelSource> {
  const { shape, weights, model, numLayers } = options;
  if (shape === null) {
    if (weights !== null) throw new OptionError('"--weights" goes with "--shape"');
    if (numLayers !== null) throw new OptionError('"--layers" goes with "--shape"');
    return await openLocalModel(model ?? DEFAULT_MODEL);
  }
  const [format = "q4_0", ...others] = weights ?? [];
  if (others.length > 0) throw new OptionError('"--shape" takes one format of weights');
  const layers = numLayers === null ? "" : `, ${numLayers} layers`;
  const hfConfig = {
    ...SHAPES[shape],
    ...(numLayers !== null && { num_hidden_layers: numLayers }),
  };
  return syntheticModel(hfConfig, { name: `${shape} ${format} (random${layers})`, format });
}
