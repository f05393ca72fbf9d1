/**
 * Malformed frames for the protocol, without sockets. Prints a line of JSON:
 * `deno run -A --v8-flags=--expose-gc tests/signaling/fuzz.ts 1000000`
 */
import type { RefusalReason } from "../../signaling/refusal.ts";
import { SignalingServer } from "../../signaling/server.ts";
import { ManualClock } from "../server/clocks.ts";
import { MalformedFrames } from "./malformed_frames.ts";

/** What came of it. */
export interface FuzzReport {
  /** Frames that ended their connection. */
  readonly numRefused: number;
  /** The others: valid after all, or to topics without a subscription. */
  readonly numAccepted: number;
  readonly numExceptions: number;
  /** Of the heap after a collection, from one tenth of the frames to all of them. */
  readonly heapGrowthBytes: number;
  readonly seconds: number;
  /** How often each reason was given. */
  readonly refused: Readonly<Partial<Record<RefusalReason, number>>>;
}

/** More connections than this are never open at once. */
const NUM_CONNECTIONS = 64;

/** Between two frames, so that the rate is no reason to refuse one. */
const FRAME_MS = 1;

/** Sends frames until `numFrames` of them were refused as such. */
export async function fuzzSignaling(
  { numFrames, seed = 1 }: { numFrames: number; seed?: number },
): Promise<FuzzReport> {
  const clock = new ManualClock();
  const server = new SignalingServer({ clock });
  const stop = new AbortController();
  const done = server.run(stop.signal);
  const frames = new MalformedFrames(seed);
  const socket = { send() {}, close() {}, ping() {}, pause() {}, resume() {}, bufferedBytes: 0 };
  const connect = (i: number) =>
    server.connect(socket, { address: `10.0.0.${i}`, origin: null, host: null });
  const connections = Array.from({ length: NUM_CONNECTIONS }, (_, i) => connect(i));
  let numSent = 0;
  let numRefused = 0;
  let numExceptions = 0;
  let startBytes = 0;
  const startMs = performance.now();
  for (; numRefused < numFrames; numSent++) {
    if (numRefused >= numFrames / 10 && startBytes === 0) startBytes = heapBytes();
    const i = frames.below(NUM_CONNECTIONS);
    if (!connections[i]!.isOpen) {
      connections[i]!.closed();
      connections[i] = connect(i);
    }
    try {
      connections[i]!.receive(frames.next());
    } catch {
      numExceptions++;
    }
    if (!connections[i]!.isOpen) numRefused++;
    clock.advance(FRAME_MS);
    if (numSent % 500 === 0) await Promise.resolve();
    if (numSent % 100_000 === 0) server.checkIntegrity();
  }
  const heapGrowthBytes = heapBytes() - startBytes;
  const seconds = (performance.now() - startMs) / 1000;
  server.checkIntegrity();
  const { refused } = server.counts();
  stop.abort();
  for (const connection of connections) connection.closed();
  await done;
  const numAccepted = numSent - numRefused;
  return { numRefused, numAccepted, numExceptions, heapGrowthBytes, seconds, refused };
}

function heapBytes(): number {
  const { gc } = globalThis as { gc?: () => void };
  if (!gc) throw new Error("Run with --v8-flags=--expose-gc");
  gc();
  return Deno.memoryUsage().heapUsed;
}

if (import.meta.main) {
  console.log(
    JSON.stringify(await fuzzSignaling({ numFrames: Number(Deno.args[0] ?? 1_000_000) })),
  );
}
