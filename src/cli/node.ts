import { formatBytes } from "../gpu/buffer.ts";
import { joinMesh } from "../mesh/join_mesh.ts";
import { parseJoinLink, redactLink } from "../mesh/join_link.ts";
import { Peer } from "../peer/peer.ts";
import type { PeerView } from "../peer/peer_view.ts";
import { VERSION } from "../version.ts";
import { cacheFolder } from "./cache_folder.ts";
import { interruption } from "./interruption.ts";
import { type LendFlags, openLentGpu, shardCache } from "./lent_gpu.ts";
import { headlessMeans } from "./mesh_means.ts";

/** The flags of `node`. */
export interface NodeFlags extends LendFlags {
  readonly join: string;
  readonly name?: string;
  readonly once?: boolean;
}

/** Losses of the device within this time after which the machine stops lending it. */
const MAX_LOSSES = 3;
const LOSS_WINDOW_MS = 10 * 60_000;

/**
 * Lends this machine's GPU until interrupted: the first Ctrl+C says goodbye. With `once`, until the
 * coordinator is gone. Returns the exit code.
 */
export async function node(flags: NodeFlags): Promise<number> {
  const link = parseJoinLink(flags.join);
  const means = headlessMeans();
  const stop = interruption("Saying goodbye; press Ctrl+C again to stop at once");
  const losses: number[] = [];
  try {
    while (true) {
      const gpu = await openLentGpu(flags);
      const name = flags.name ?? Deno.hostname();
      console.error(
        `GPU      ${gpu.context.capabilities.adapterName}, ` +
          `${gpu.speed.readGBps.toPrecision(3)} GB/s, ` +
          `${gpu.speed.matmulGflops.toPrecision(3)} GFLOP/s, lends ${formatBytes(gpu.memoryBytes)}`,
      );
      console.error(`Joining  ${redactLink(flags.join)} as "${name}"`);
      const { store, heldFiles } = shardCache(cacheFolder());
      const host = gpu.host(store);
      const peer = new Peer({
        mesh: await joinMesh(link, means),
        ...{ host, name, heldFiles, version: VERSION },
        memoryBytes: gpu.memoryBytes,
        clock: means.clock,
        rng: means.rng,
        coordinatorId: link.coordinatorId,
        onNotice: (text) => console.error(redactLink(text)),
      });
      const outcome = await Promise.race([
        stop.requested,
        gpu.context.lost.then((error) => error),
        ended(peer, { once: flags.once === true }),
      ]);
      if (outcome === "interrupted") await peer.leave("Stopped by its owner");
      host.close();
      if (typeof outcome === "string") return exitCode(outcome, peer.view());
      console.error(outcome.message);
      losses.push(performance.now());
      const recent = losses.filter((ms) => ms > performance.now() - LOSS_WINDOW_MS);
      if (recent.length >= MAX_LOSSES) {
        console.error(`The GPU was lost ${MAX_LOSSES} times in 10 minutes: it is lent no longer`);
        return 1;
      }
      await peer.leave(outcome.message);
    }
  } finally {
    means.rtc.close();
    stop.end();
  }
}

/** Reports every change of state, and resolves with how it ended. */
function ended(peer: Peer, { once }: { readonly once: boolean }): Promise<"refused" | "gone"> {
  const { promise, resolve } = Promise.withResolvers<"refused" | "gone">();
  let shown = "";
  const look = () => {
    const view = peer.view();
    const text = describe(view);
    if (text !== shown) console.log(text);
    shown = text;
    if (view.state === "refused") resolve("refused");
    if (view.state === "coordinator-gone" && once) resolve("gone");
  };
  peer.onChange(look);
  look();
  return promise;
}

function exitCode(outcome: "interrupted" | "refused" | "gone", view: PeerView): number {
  if (outcome === "interrupted") return 130;
  if (outcome === "gone") return 0;
  console.error(`Refused: ${view.note}`);
  return 1;
}

/** One line that changes only with what the owner should know. */
function describe({ state, note, startLayer, endLayer, modelName, load }: PeerView): string {
  const layers = startLayer === null ? "" : ` layers ${startLayer} to ${(endLayer ?? 0) - 1}`;
  const model = modelName === null ? "" : ` of ${modelName}`;
  const because = note === null ? "" : `: ${note}`;
  switch (state) {
    case "loading":
      return `Loading ${layers}${model}`.replace("  ", " ");
    case "serving": {
      const bytes = load === null
        ? ""
        : ` (${formatBytes(load.totalBytes)}, ${formatBytes(load.downloadedBytes)} downloaded)`;
      return `Serving${layers}${model}${bytes}`;
    }
    case "waiting":
      return `Waiting for layers${model}${because}`;
    case "connecting":
      return `Connecting${because}`;
    case "coordinator-gone":
      return `The coordinator is gone${because}. Waiting for it`;
    case "paused":
      return "Paused";
    case "refused":
    case "left":
      return `Left${because}`;
    default:
      return state satisfies never;
  }
}
