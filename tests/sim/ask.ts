import { Client } from "./client.ts";
import type { RequestPlan } from "./plan.ts";
import { Reference } from "./reference.ts";
import type { World } from "./world.ts";

/** A client of a world sends its request. */
export function ask(world: World, plan: RequestPlan): void {
  if (world.isClosing) return;
  const { engine, node, batches, reach, kernel } = world;
  const { limits, numLayers } = world.plan;
  const numSequences = () => {
    const { numRunning, numWaiting } = engine.stats();
    return numRunning + numWaiting;
  };
  const index = world.plan.requests.indexOf(plan);
  if (plan.isBurst) reach.count("client: burst");
  if (plan.readEveryMs > 0) reach.count("client: slow reader");
  const note = (text: string) => {
    kernel.note(`Request ${index} ${text}`);
    world.touchEngine();
  };
  const client = new Client({
    ...{ index, plan, engine, node },
    reference: new Reference({
      ...{ promptTokenIds: plan.promptTokenIds, sampling: plan.sampling, numLayers },
      // A small pool may end it earlier.
      maxModelLength: limits.maxModelLength,
      hasState: limits.numSavedStates > 0,
    }),
    isClosing: () => world.isClosing,
    fillsPool: (numTokens) => world.longestSequences.has(numTokens),
    watchStart: (client, start) => {
      batches.watchStart(client, start, numSequences);
      world.touchEngine();
    },
    onCancel: (client) => {
      reach.count(`client: cancel ${stateOf(client, world)}`);
      note("is cancelled");
    },
    onTokens: (_, { tokenIds }) => note(`gets ${tokenIds}`),
    onEnd: ({ end, error }) => {
      reach.count(`end: ${end}`);
      note(`ends: ${end} ${error ?? ""}`);
    },
  });
  world.clients.push(client);
  client.run().catch((error) => world.fail(error));
}

function stateOf(client: Client, { cluster, batches }: World): string {
  if (cluster.numStages === 0) return "without a pipeline";
  if (!batches.hasRun(client)) return "while it waits";
  if (client.numTokens === 0) return "before the first token";
  return client.numTokens >= client.numExpected - 1 ? "at the last token" : "between tokens";
}
