/**
 * What a client feels while another one floods. Prints a line of JSON for each kind of flood, and
 * ends with 1 when an answer took too long: `deno run -A tests/signaling/flood.ts [SECONDS]`
 */
import type { FlooderReport, FloodKind } from "./flooder.ts";
import { RealClient } from "./real_server.ts";
import { startSignaling } from "./signaling_process.ts";

/** Round trips of a client that keeps to the limits, through a server that is flooded. */
export interface FloodReport {
  readonly kind: FloodKind;
  readonly numAsked: number;
  readonly numAnswered: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly flooder: FlooderReport;
}

export const FLOOD_KINDS: readonly FloodKind[] = [
  "messages",
  "frames",
  "pings",
  "connections",
  "bursts",
];

/** p99 of a round trip may be this long. */
const CEILING_MS = 100;

/** 40 messages a second, of the 50 that are allowed. */
const PERIOD_MS = 25;

/** Floods a server for some seconds, in the very room of the client whose round trips are timed. */
export async function measureFlood(
  { kind, seconds }: { kind: FloodKind; seconds: number },
): Promise<FloodReport> {
  const signaling = await startSignaling();
  try {
    const client = await RealClient.open(signaling.url);
    client.say({ type: "subscribe", topics: ["room"] });
    const flooder = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", new URL("flooder.ts", import.meta.url).pathname],
        ...[`${signaling.port}`, kind, `${seconds}`],
      ],
      stderr: "inherit",
    }).output();
    const roundTripsMs: number[] = [];
    let numAsked = 0;
    let isOver = false;
    void flooder.then(() => isOver = true);
    while (!isOver) {
      const askedMs = performance.now();
      client.say({ type: "publish", topic: "room", number: ++numAsked });
      while ((await client.next()).number !== numAsked);
      const tookMs = performance.now() - askedMs;
      roundTripsMs.push(tookMs);
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, PERIOD_MS - tookMs)));
    }
    client.close();
    roundTripsMs.sort((a, b) => a - b);
    const quantile = (q: number) => roundTripsMs[Math.floor(q * (roundTripsMs.length - 1))]!;
    return {
      ...{ kind, numAsked, numAnswered: roundTripsMs.length },
      ...{ p50Ms: quantile(0.5), p99Ms: quantile(0.99), maxMs: quantile(1) },
      flooder: JSON.parse(new TextDecoder().decode((await flooder).stdout)),
    };
  } finally {
    await signaling.stop("SIGTERM");
  }
}

if (import.meta.main) {
  let isFast = true;
  for (const kind of FLOOD_KINDS) {
    const report = await measureFlood({ kind, seconds: Number(Deno.args[0] ?? 5) });
    console.log(JSON.stringify({ ...report, ceilingMs: CEILING_MS }));
    isFast &&= report.p99Ms <= CEILING_MS;
  }
  Deno.exit(isFast ? 0 : 1);
}
