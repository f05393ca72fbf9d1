/**
 * The worker of the benches' page: a device that holds copy stages.
 *
 * @module
 */
import { chooseAdapter, type GpuContext, openContext } from "../../src/gpu/context.ts";
import { browserGpu } from "../../src/platform/browser.ts";
import type { HostedStage, LoadRequest, StageHost } from "../../src/stage/stage_host.ts";
import { type OpenedHost, StageHostServer } from "../../web/src/stage_host_server.ts";
import type { MessageEnd } from "../../web/src/worker_messages.ts";
import { CopyStage } from "./copy_stage.ts";

new StageHostServer(globalThis as unknown as MessageEnd, openHost);

async function openHost(): Promise<OpenedHost> {
  const context = await openContext(chooseAdapter(await browserGpu.listAdapters()));
  return { host: copyHost(context), warnings: [], heldFiles: () => Promise.resolve([]) };
}

function copyHost(context: GpuContext): StageHost {
  const { adapterName, backend, isSoftware, hasF16, subgroupSize, maxBindingBytes } =
    context.capabilities;
  return {
    device: {
      ...{ adapterName, backend, isSoftware, hasF16, subgroupSize, maxBindingBytes },
      ...{ usesF16Kv: false, readGBps: 0, matmulGflops: 0 },
    },
    lost: context.lost,
    load: (request) => copyStage(context, request),
    close: () => context.destroy(),
  };
}

async function copyStage(
  context: GpuContext,
  { manifest, shard, limits }: LoadRequest,
): Promise<HostedStage> {
  const hiddenSize = Number(manifest.hfConfig["hidden_size"]);
  const { maxBatchTokens } = limits;
  const stage = await CopyStage.create(context, { shard, hiddenSize, maxBatchTokens });
  return {
    ...{ shard, memoryBytes: 0, state: { loadedBytes: 0, totalBytes: 0, downloadedBytes: 0 } },
    forward: (batch, hidden) => stage.forward(batch, hidden),
    close: () => stage.close(),
  };
}
