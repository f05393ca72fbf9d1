/**
 * Control messages of the other side, checked.
 *
 * @module
 */
import { z } from "zod";
import {
  type CoordinatorControl,
  MAX_HELD_FILES,
  MAX_LINKS,
  MAX_NAME_LENGTH,
  MAX_REASON_LENGTH,
  type PeerControl,
} from "./control.ts";

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const layer = z.number().int().min(0).max(65_536);
const positive = z.number().int().min(1).max(2 ** 31);
/** For people, and for terminals: without control characters. */
const text = (maxLength: number) =>
  z.string().max(maxLength).transform((value) => value.replaceAll(/\p{Cc}+/gu, " "));
const reason = text(MAX_REASON_LENGTH);
const peerId = z.string().regex(/^[0-9a-f]{32}$/);
const fileKey = z.string().regex(/^[0-9a-f]{8,128}$/);
const amount = z.number().min(0).max(1e15);

const device = z.object({
  adapterName: text(300),
  backend: z.enum(["dawn", "wgpu", "browser"]),
  isSoftware: z.boolean(),
  hasF16: z.boolean(),
  subgroupSize: count,
  maxBindingBytes: count,
  usesF16Kv: z.boolean(),
  readGBps: amount,
  matmulGflops: amount,
});

const load = z.object({ loadedBytes: count, totalBytes: count, downloadedBytes: count });

const shard = z.object({
  startLayer: layer,
  endLayer: layer,
  hasEmbedding: z.boolean(),
  hasHead: z.boolean(),
});

const limits = z.object({
  numBlocks: positive,
  maxModelLength: positive,
  maxBatchTokens: positive,
  maxSequences: positive,
  numSavedStates: z.number().int().min(0).max(2 ** 31).default(0),
  maxSamples: positive,
});

const link = z.object({
  to: peerId,
  rttMs: amount.nullable(),
  candidateType: z.enum(["host", "srflx", "prflx", "relay", "memory", "unknown"]),
  bytesIn: count,
  bytesOut: count,
  bufferedBytes: count,
});

const fromPeer = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("join"),
    protocol: count,
    name: text(MAX_NAME_LENGTH),
    version: text(50),
    device,
    memoryBytes: count,
    heldFiles: z.array(z.object({ key: fileKey, bytes: count })).max(MAX_HELD_FILES),
    isPaused: z.boolean(),
  }),
  z.object({ type: z.literal("load-progress"), epoch: count, load }),
  z.object({ type: z.literal("ready"), epoch: count, load, memoryBytes: count }),
  z.object({
    type: z.literal("load-failed"),
    epoch: count,
    reason,
    isOutOfMemory: z.boolean(),
    loadedBytes: count,
  }),
  z.object({ type: z.literal("stage-lost"), epoch: count, reason }),
  z.object({ type: z.literal("step-failed"), epoch: count, stepId: count, reason }),
  z.object({ type: z.literal("pause") }),
  z.object({ type: z.literal("resume") }),
  z.object({
    type: z.literal("stats"),
    numTokens: count,
    numSteps: count,
    busyMs: amount,
    numRefused: count,
    links: z.array(link).max(MAX_LINKS),
  }),
  z.object({ type: z.literal("read"), id: count, fileKey, start: count, end: count }),
]);

const fromCoordinator = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("welcome"),
    protocol: count,
    name: text(MAX_NAME_LENGTH),
    version: text(50),
    model: text(300),
  }),
  z.object({ type: z.literal("refuse"), reason }),
  z.object({
    type: z.literal("load"),
    epoch: positive,
    manifestKey: fileKey,
    manifestBytes: z.number().int().min(2).max(64 << 20),
    shard,
    limits,
    isDeterministic: z.boolean().nullable(),
    useF16Kv: z.boolean().nullable(),
    hiddenType: z.enum(["f32", "f16"]),
    previous: peerId.nullable(),
    next: peerId.nullable(),
  }),
  z.object({ type: z.literal("unload"), reason }),
  z.object({ type: z.literal("read-failed"), id: count, reason }),
]);

/** A peer's message, or null when it is none. */
export function parsePeerControl(value: unknown): PeerControl | null {
  return fromPeer.safeParse(value).data ?? null;
}

/** A coordinator's message, or null when it is none. */
export function parseCoordinatorControl(value: unknown): CoordinatorControl | null {
  return fromCoordinator.safeParse(value).data ?? null;
}
