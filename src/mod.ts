/**
 * Tessera as a library: a coordinator that answers OpenAI-style HTTP, and peers that lend it their
 * devices, in one process (`soloRoom`, `startLocalPeers`) or over a mesh (`joinMesh`).
 *
 * @module
 */
export { type CapacityOptions, DEFAULT_CAPACITY } from "./cluster/capacity.ts";
export { type Coordinator, type CoordinatorOptions, startCoordinator } from "./coordinator.ts";
export { DEFAULT_SAMPLING, type FinishReason, type SamplingParams } from "./core.ts";
export { Engine, type EngineOptions, type GenerateOptions, type TokenEvent } from "./engine.ts";
export {
  chooseAdapter,
  type GpuCapabilities,
  type GpuContext,
  openContext,
} from "./gpu/context.ts";
export { type DeviceSpeed, probeDevice } from "./kernels/device_probe.ts";
export { defaultTuning, type Tuning } from "./kernels/tuning.ts";
export { joinMesh, type MeshMeans } from "./mesh/join_mesh.ts";
export {
  formatJoinLink,
  generateJoinLink,
  type JoinLink,
  JoinLinkError,
  parseJoinLink,
} from "./mesh/join_link.ts";
export { Mesh } from "./mesh/mesh.ts";
export { soloRoom } from "./mesh/solo_room.ts";
export { startLocalPeers } from "./peer/local_peers.ts";
export { Peer, type PeerOptions } from "./peer/peer.ts";
export type { PeerView } from "./peer/peer_view.ts";
export { LocalStageHost, type LocalStageHostOptions } from "./stage/local_stage_host.ts";
export type { ModelSource } from "./weights/model_source.ts";
export { VERSION } from "./version.ts";
