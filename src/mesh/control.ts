/**
 * What peers and coordinator say to each other on a link's control channel. JSON.
 *
 * @module
 */
import { z } from "zod";

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const layer = z.number().int().min(0).max(65_536);
const positive = z.number().int().min(1).max(2 ** 31);
/** For people, and for terminals: without control characters. */
const text = (maxLength: number) =>
  z.string().max(maxLength).transform((value) => value.replaceAll(/\p{Cc}+/gu, " "));
/** Longest reason in a message. */
const MAX_REASON_LENGTH = 2_000;
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

/** Both ends of a link must say the same; raised with every change that older peers misread. */
export const PROTOCOL = 1;
/** Longest name of a peer. */
export const MAX_NAME_LENGTH = 100;
/** Most held files and links in a message. */
export const MAX_HELD_FILES = 4096;
export const MAX_LINKS = 256;

/** From a peer to its coordinator. */
const fromPeer = z.discriminatedUnion("type", [
  /** First of all: what is offered. */
  z.object({
    type: z.literal("join"),
    protocol: count,
    name: text(MAX_NAME_LENGTH),
    version: text(50),
    device,
    /** Lent memory. */
    memoryBytes: count,
    /** Files of which the peer has something in its cache. */
    heldFiles: z.array(z.object({ key: fileKey, bytes: count })).max(MAX_HELD_FILES),
    isPaused: z.boolean(),
  }),
  z.object({ type: z.literal("load-progress"), epoch: count, load }),
  z.object({ type: z.literal("ready"), epoch: count, load, memoryBytes: count }),
  z.object({ type: z.literal("load-failed"), epoch: count, reason }),
  /** A neighbour is out of reach: the pipeline of this epoch is of no use any more. */
  z.object({ type: z.literal("stage-lost"), epoch: count, reason }),
  z.object({ type: z.literal("step-failed"), epoch: count, stepId: count, reason }),
  /** No more layers until "resume"; a shard that is held is given up. */
  z.object({ type: z.literal("pause") }),
  z.object({ type: z.literal("resume") }),
  z.object({
    type: z.literal("stats"),
    numTokens: count,
    numSteps: count,
    busyMs: amount,
    links: z.array(link).max(MAX_LINKS),
  }),
  /** Asks for bytes [start, end) of a file; "weights" frames with `sequence` = id answer. */
  z.object({ type: z.literal("read"), id: count, fileKey, start: count, end: count }),
]);

/** From a coordinator to a peer. */
const fromCoordinator = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("welcome"),
    protocol: count,
    name: text(MAX_NAME_LENGTH),
    version: text(50),
    model: text(300),
  }),
  /** There is no place for the peer, and asking again is of no use. */
  z.object({ type: z.literal("refuse"), reason }),
  /** Hold this shard, and be ready for batches of `epoch`. */
  z.object({
    type: z.literal("load"),
    epoch: positive,
    /** Where to read the ShardManifest, as JSON: a "file" of the coordinator. */
    manifestKey: fileKey,
    manifestBytes: z.number().int().min(2).max(64 << 20),
    shard,
    limits,
    isDeterministic: z.boolean().nullable(),
    useF16Kv: z.boolean().nullable(),
    hiddenType: z.enum(["f32", "f16"]),
    /** Null where the coordinator stands on that side. */
    previous: peerId.nullable(),
    next: peerId.nullable(),
  }),
  /** Give up the shard. */
  z.object({ type: z.literal("unload"), reason }),
  z.object({ type: z.literal("read-failed"), id: count, reason }),
]);

export type PeerControl = z.infer<typeof fromPeer>;
export type CoordinatorControl = z.infer<typeof fromCoordinator>;

/** What of an error's message fits into one. */
export function clipReason(reason: string): string {
  return reason.slice(0, MAX_REASON_LENGTH);
}

/** A peer's message, or null when it is none. */
export function parsePeerControl(value: unknown): PeerControl | null {
  return fromPeer.safeParse(value).data ?? null;
}

/** A coordinator's message, or null when it is none. */
export function parseCoordinatorControl(value: unknown): CoordinatorControl | null {
  return fromCoordinator.safeParse(value).data ?? null;
}
