/**
 * What links cost by themselves, without any computing.
 *
 * @module
 */
import type { Frame } from "../src/mesh/frame.ts";
import type { PeerLink } from "../src/mesh/peer_link.ts";
import { systemClock } from "../src/platform/system.ts";
import { type Ends, type EndsOptions, openEnds } from "./link_ends.ts";
import { median } from "./median.ts";
import type { PathOptions } from "./udp_relay.ts";

/** Times of one frame size. */
export interface FrameTimes {
  readonly frameBytes: number;
  readonly medianMs: number;
  readonly p99Ms: number;
}

const WARM_UP_FRAMES = 100;

/** Half the round trip of a frame on the hot lane, there and back by the far end's echo. */
export async function measureHops(
  { frameSizes, repeats, ...endsOptions }:
    & { readonly frameSizes: readonly number[]; readonly repeats: number }
    & EndsOptions,
): Promise<FrameTimes[]> {
  const ends = await openEnds(endsOptions);
  const results: FrameTimes[] = [];
  for (const frameBytes of frameSizes) {
    const times: number[] = [];
    for (let i = 0; i < WARM_UP_FRAMES + repeats; i++) {
      const roundTripMs = await timeUntilFrame(ends.near, () => {
        ends.near.sendFrame(makeFrame("probe", frameBytes), "hot");
      });
      if (i >= WARM_UP_FRAMES) times.push(roundTripMs / 2);
    }
    results.push({ frameBytes, medianMs: median(times), p99Ms: percentile(times, 0.99) });
  }
  await ends.close();
  return results;
}

/** Time from sending a frame to having it, over a slow path: sent `pauseMs` after the one before. */
export async function measureOneWay(
  { frameSizes, repeats, pauseMs, path }: {
    readonly frameSizes: readonly number[];
    readonly repeats: number;
    readonly pauseMs: number;
    readonly path: PathOptions;
  },
): Promise<FrameTimes[]> {
  const ends = await openEnds({ isFarEndElsewhere: false, path });
  const { near, far } = ends;
  const results: FrameTimes[] = [];
  for (const frameBytes of frameSizes) {
    const times: number[] = [];
    for (let i = 0; far && i < repeats; i++) {
      await systemClock.sleep(pauseMs);
      const send = () => void near.sendFrame(makeFrame("batch", frameBytes), "hot");
      times.push(await timeUntilFrame(far, send));
    }
    results.push({ frameBytes, medianMs: median(times), p99Ms: percentile(times, 0.99) });
  }
  await ends.close();
  return results;
}

/** MB/s of the bulk lane. */
export async function measureThroughput(
  { totalBytes, frameBytes, ...endsOptions }:
    & { readonly totalBytes: number; readonly frameBytes: number }
    & EndsOptions,
): Promise<number> {
  const ends = await openEnds(endsOptions);
  const megabytesPerSecond = await timeBulk(ends, { totalBytes, frameBytes });
  await ends.close();
  return megabytesPerSecond;
}

async function timeBulk(
  { near }: Ends,
  { totalBytes, frameBytes }: { readonly totalBytes: number; readonly frameBytes: number },
): Promise<number> {
  const counted = new Promise<void>((resolve) => near.listen({ onControl: () => resolve() }));
  const startMs = performance.now();
  near.sendControl({ count: totalBytes });
  const frame = makeFrame("weights", frameBytes);
  for (let sent = 0; sent < totalBytes; sent += frameBytes) await near.sendFrame(frame, "bulk");
  await counted;
  return totalBytes / 1e3 / (performance.now() - startMs);
}

function timeUntilFrame(receiver: PeerLink, send: () => void): Promise<number> {
  return new Promise((resolve) => {
    const startMs = performance.now();
    const stop = receiver.listen({
      onFrame() {
        stop();
        resolve(performance.now() - startMs);
      },
    });
    send();
  });
}

function makeFrame(type: "probe" | "batch" | "weights", sizeBytes: number): Frame {
  const payload = new Uint8Array(sizeBytes).fill(7);
  return { type, epoch: 1, sequence: 1, position: 0, numTokens: 1, dtype: "f16", payload };
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}
