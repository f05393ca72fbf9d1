import type { StageLimits } from "../../src/stage/stage_limits.ts";
import { StageCosts } from "../../src/pipeline/stage_costs.ts";
import { drawPlan } from "./draw_plan.ts";
import type { SimModel } from "./model.ts";
import type { WorldPlan } from "./plan.ts";
import { type Outcome, runWorld } from "./run_world.ts";

export type Models = ReadonlyMap<number, SimModel>;

/** The plan of a seed. */
export function planOf(seed: number, models: Models): WorldPlan {
  return drawPlan(seed, {
    memoryOf: ({ numLayers, limits }, numLayersHeld) =>
      memoryFor(models.get(numLayers)!, { limits, numLayersHeld }),
  });
}

/** Runs a plan. */
export async function runPlan(
  plan: WorldPlan,
  { models, onTrace = null }: {
    readonly models: Models;
    readonly onTrace?: ((line: string) => void) | null;
  },
): Promise<Outcome> {
  return await runWorld({ plan, model: models.get(plan.numLayers)!, onTrace });
}

/** Memory that any run of so many layers fits in, with what coordinators leave aside. */
function memoryFor(
  model: SimModel,
  { limits, numLayersHeld }: { readonly limits: StageLimits; readonly numLayersHeld: number },
): number {
  const { numBlocks } = limits;
  const costs = new StageCosts(model.costs(limits), { peers: [], numBlocks });
  const { numLayers } = model.config;
  const bytes = (startLayer: number) =>
    costs.memoryBytes({ startLayer, endLayer: startLayer + numLayersHeld, usesF16Kv: false });
  return Math.ceil(1.15 * Math.max(bytes(0), bytes(numLayers - numLayersHeld)));
}
