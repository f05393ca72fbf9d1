import { buildPage } from "../../web/build.ts";
import { DEFAULT_CAPACITY } from "../cluster/capacity.ts";
import { joinInstructions } from "../cluster/join_instructions.ts";
import { type Coordinator, startCoordinator } from "../coordinator.ts";
import { joinMesh, type MeshMeans } from "../mesh/join_mesh.ts";
import { formatJoinLink, type JoinLink, redactLink } from "../mesh/join_link.ts";
import type { Mesh } from "../mesh/mesh.ts";
import { startLocalPeers } from "../peer/local_peers.ts";
import type { Peer } from "../peer/peer.ts";
import type { HiddenType } from "../pipeline/hidden_wire.ts";
import { VERSION } from "../version.ts";
import type { ModelSource } from "../weights/model_source.ts";
import { cacheFolder } from "./cache_folder.ts";
import { type Gateway, type GatewayFlags, openGateway } from "./gateway.ts";
import { interruption } from "./interruption.ts";
import { type LendFlags, type LentGpu, openLentGpu } from "./lent_gpu.ts";
import { headlessMeans } from "./mesh_means.ts";
import { openLocalModel } from "./open_model.ts";
import { folderAssets } from "./page_assets.ts";
import { ProgressLine } from "./progress.ts";
import { stdoutQr } from "./qr.ts";
import { readRoom } from "./room_file.ts";

/** The flags of `run`. */
export interface RunFlags extends LendFlags, GatewayFlags {
  readonly model: string;
  readonly signaling?: string;
  readonly iceServer?: readonly RTCIceServer[];
  readonly newRoom?: boolean;
  readonly name?: string;
  readonly qr?: boolean;
  /** False leaves this machine's GPU alone. */
  readonly gpu: boolean;
  readonly stages: number;
  readonly peers: number;
  readonly hidden: HiddenType;
  readonly kvTokens?: number;
  readonly maxModelLength?: number;
  readonly maxBatchTokens?: number;
  readonly maxSequences?: number;
  readonly maxWaiting: number;
  /** Seconds; 0 is for ever. */
  readonly requestTimeout: number;
  readonly sharePrefixCache?: boolean;
}

/** What is open, to be closed in the reverse order. */
interface Open {
  gateway: Gateway | null;
  mesh: Mesh | null;
  coordinator: Coordinator | null;
  peers: readonly Peer[];
}

/** Serves until interrupted: the first Ctrl+C lets answers finish, the second does not. */
export async function run(flags: RunFlags): Promise<number> {
  const startMs = performance.now();
  const open: Open = { gateway: null, mesh: null, coordinator: null, peers: [] };
  const stop = interruption(
    "Finishing the answers that are running; press Ctrl+C again to stop at once",
  );
  const means = headlessMeans();
  try {
    // A port that is taken is known before anything is downloaded.
    open.gateway = await openGateway(flags, () => open.coordinator?.server ?? null);
    const gpu = flags.gpu ? await openLentGpu(flags) : null;
    if (gpu) console.error(`GPU      ${gpu.context.capabilities.adapterName}`);
    const source = await openLocalModel(flags.model, { isHeaderOnly: !flags.gpu });
    const { link, instructions } = await start(flags, { open, gpu, source, means });
    const lost = gpu?.context.lost.then((error) => Promise.reject(error)) ?? NEVER;
    lost.catch(() => {});
    if (gpu) await Promise.race([stop.requested, lost, serving(open)]);
    if (!stop.isRequested) {
      printHowToCall(flags, { gateway: open.gateway, link, model: source.name });
      if (instructions.note !== null) console.error(instructions.note);
      const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
      console.error(gpu ? `Ready after ${seconds} s. Press Ctrl+C to stop.` : WAITING);
    }
    await Promise.race([stop.requested, lost]);
    await open.gateway.drain();
  } finally {
    await close(open);
    means.rtc.close();
    stop.end();
  }
  return 130;
}

const NEVER = new Promise<never>(() => {});
const WAITING = "Waiting for peers: open the link in a browser or use the command. " +
  "Press Ctrl+C to stop.";

async function start(
  flags: RunFlags,
  { open, gpu, source, means }: {
    readonly open: Open;
    readonly gpu: LentGpu | null;
    readonly source: ModelSource;
    readonly means: MeshMeans;
  },
) {
  const gateway = open.gateway!;
  const { folder } = await buildPage();
  const room = await readRoom(cacheFolder(), { isNew: flags.newRoom === true });
  const link: JoinLink = {
    ...room,
    pageUrl: flags.pageUrl ?? `${gateway.address.origin}/`,
    signalingUrl: flags.signaling ?? gateway.signalingUrl,
    coordinatorId: null,
    iceServers: flags.iceServer ?? [],
  };
  // Its own signaling server is right here, whatever it is called outside.
  const ownLink = { ...link, signalingUrl: flags.signaling ?? gateway.localSignalingUrl };
  const instructions = joinInstructions({
    link: formatJoinLink(link),
    note: gateway.address.note,
  });
  const name = flags.name ?? Deno.hostname();
  const localIds = new Set<string>();
  open.mesh = await joinMesh(ownLink, means);
  open.coordinator = await startCoordinator({
    ...{ source, name, version: VERSION, localIds, mesh: open.mesh, ...means },
    limits: {
      maxModelLength: flags.maxModelLength ?? DEFAULT_CAPACITY.maxModelLength,
      kvTokens: flags.kvTokens ?? DEFAULT_CAPACITY.kvTokens,
      maxBatchTokens: flags.maxBatchTokens ?? DEFAULT_CAPACITY.maxBatchTokens,
      maxSequences: flags.maxSequences ?? DEFAULT_CAPACITY.maxSequences,
    },
    placement: {
      minPeers: Math.max(flags.peers, gpu ? flags.stages : 1),
      isDeterministic: flags.deterministic ?? null,
      useF16Kv: flags.kv === undefined ? null : flags.kv === "f16",
      hiddenType: flags.hidden,
    },
    now: () => new Date(),
    aliases: [flags.model],
    join: () => instructions,
    http: {
      closing: gateway.closing,
      page: folderAssets(folder),
      access: gateway.access,
      maxWaiting: flags.maxWaiting,
      requestTimeoutMs: flags.requestTimeout === 0 ? null : flags.requestTimeout * 1000,
      sharePrefixCache: flags.sharePrefixCache ?? false,
    },
    onNotice: (text) => console.error(redactLink(text)),
  });
  if (gpu) {
    open.peers = await startLocalPeers({
      coordinator: open.mesh,
      hosts: Array.from({ length: flags.stages }, () => gpu.host(null)),
      join: async () => {
        const mesh = await joinMesh(ownLink, means);
        localIds.add(mesh.peerId);
        return mesh;
      },
      ...{ name, version: VERSION, ...means },
      memoryBytes: Math.floor(gpu.memoryBytes / flags.stages),
    });
  }
  return { link: instructions.link, instructions };
}

/** Resolves when there is a pipeline; shows how far the layers are. */
async function serving({ coordinator }: Open): Promise<void> {
  const { cluster } = coordinator!;
  const progress = new ProgressLine();
  const { promise, resolve } = Promise.withResolvers<void>();
  let shownBytes = 0;
  const stopListening = cluster.condition.onChange(() => {
    const loadedBytes = cluster.members.reduce(
      (sum, { load }) => sum + (load?.loadedBytes ?? 0),
      0,
    );
    if (loadedBytes > shownBytes) progress.loading(shownBytes = loadedBytes);
    if (cluster.condition.state === "serving") resolve();
  });
  await promise;
  progress.end();
  stopListening();
}

async function close({ gateway, mesh, coordinator, peers }: Open): Promise<void> {
  const reason = "The coordinator stops";
  await coordinator?.close();
  for (const peer of peers) await peer.leave(reason);
  mesh?.close(reason);
  await gateway?.close();
}

function printHowToCall(
  flags: RunFlags,
  { gateway, link, model }: {
    readonly gateway: Gateway;
    readonly link: string;
    readonly model: string;
  },
): void {
  const url = gateway.localUrl;
  const body = JSON.stringify({
    model,
    messages: [{ role: "user", content: "What is the capital of France?" }],
    temperature: 0,
    stream: true,
  });
  const key = flags.apiKey ? " -H 'authorization: Bearer YOUR_KEY'" : "";
  console.log(`Model    ${model}
Open     ${url}/
API      ${url}/v1  (any OpenAI client; ${flags.apiKey ? "with your API key" : "any API key"})
Try      curl -N ${url}/v1/chat/completions -H 'content-type: application/json'${key} -d '${body}'
Chat     deno task chat --url ${url}
Lend     ${link}
Node     deno task node --join "${link}"`);
  const code = stdoutQr(link, { isAsked: flags.qr === true });
  if (code !== null) console.log(code);
}
