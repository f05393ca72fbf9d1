import { expect } from "vitest";
import type { SignalingLimits } from "../../signaling/limits.ts";
import { SignalingServer } from "../../signaling/server.ts";
import { ManualClock } from "../server/clocks.ts";

/** A server under a clock of the test's. */
export interface RunningServer {
  readonly server: SignalingServer;
  /** Lets time go by in small steps. */
  pass(ms: number): Promise<void>;
  /** Ends it as its process would. */
  stop(): Promise<void>;
}

const STEP_MS = 20;

const running: RunningServer[] = [];

export function runServer(
  limits: Partial<SignalingLimits> = {},
  allowedOrigins?: readonly string[],
): RunningServer {
  const clock = new ManualClock();
  const server = new SignalingServer({
    ...{ clock, limits },
    ...(allowedOrigins ? { allowedOrigins } : {}),
  });
  const abort = new AbortController();
  const done = server.run(abort.signal);
  const started: RunningServer = {
    server,
    pass: async (ms) => {
      for (let passedMs = 0; passedMs < ms; passedMs += STEP_MS) {
        clock.advance(Math.min(STEP_MS, ms - passedMs));
        for (let i = 0; i < 5; i++) await Promise.resolve();
      }
    },
    stop: () => {
      abort.abort();
      return done;
    },
  };
  running.push(started);
  return started;
}

/** Ends all servers of a test and checks what they held. */
export async function stopServers(): Promise<void> {
  for (const { server, stop } of running.splice(0)) {
    server.checkIntegrity();
    await stop();
    expect(server.counts()).toMatchObject({ connections: 0, topics: 0 });
  }
}
