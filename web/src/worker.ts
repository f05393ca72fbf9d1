/**
 * The page's worker: everything that computes. The page thread keeps the connections, which exist
 * only there.
 *
 * @module
 */
import { chooseAdapter, openContext } from "../../src/gpu/context.ts";
import { probeDevice } from "../../src/kernels/device_probe.ts";
import { selfTest } from "../../src/kernels/self_test.ts";
import { defaultTuning } from "../../src/kernels/tuning.ts";
import { browserGpu } from "../../src/platform/browser.ts";
import { OpfsStore } from "../../src/platform/opfs_store.ts";
import { systemClock } from "../../src/platform/system.ts";
import { LocalStageHost } from "../../src/stage/local_stage_host.ts";
import { heldFiles } from "../../src/weights/chunk_cache.ts";
import { type OpenedHost, StageHostServer } from "./stage_host_server.ts";
import { WEIGHTS_FOLDER } from "./weight_storage.ts";
import type { MessageEnd } from "./worker_messages.ts";

new StageHostServer(globalThis as unknown as MessageEnd, openHost);

async function openHost(): Promise<OpenedHost> {
  const choice = chooseAdapter(await browserGpu.listAdapters());
  const { context, warnings } = await selfTest(await openContext(choice));
  const tuning = defaultTuning(context.capabilities);
  const speed = await probeDevice(context, { tuning, clock: systemClock });
  const cache = await OpfsStore.open(WEIGHTS_FOLDER);
  const http = { fetch: globalThis.fetch.bind(globalThis), clock: systemClock };
  return {
    host: new LocalStageHost({ context, tuning, speed, cache, http }),
    warnings,
    heldFiles: () => heldFiles(cache),
  };
}
