/**
 * Links to measure: both ends in this process, or the far one in another.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { dialLink, type DialOptions } from "../src/mesh/dial_link.ts";
import { createIdentity } from "../src/mesh/identity.ts";
import type { PeerLink } from "../src/mesh/peer_link.ts";
import type { SignalExchange } from "../src/mesh/rtc_signal.ts";
import { nodeDatachannelRtc } from "../src/platform/node_datachannel.ts";
import type { RtcProvider } from "../src/platform/platform.ts";
import { systemClock } from "../src/platform/system.ts";
import { meshCrypto } from "../src/platform/web_crypto.ts";
import { echoOn } from "./link_echo.ts";
import { throughRelay } from "./through_relay.ts";
import { type PathOptions, UdpRelay } from "./udp_relay.ts";

/** Largest frame of the benches, in bytes. */
export const MAX_FRAME_BYTES = 4 * 1024 * 1024;

/** How the ends are connected. */
export interface EndsOptions {
  readonly isFarEndElsewhere: boolean;
  /** Through a relay that behaves so; directly when missing. */
  readonly path?: PathOptions;
}

/** An open link whose far end echoes (see `echoOn`). */
export interface Ends {
  readonly near: PeerLink;
  /** The far end, when it is in this process. */
  readonly far: PeerLink | null;
  close(): Promise<void>;
}

/** Dials a link. */
export async function openEnds(options: EndsOptions): Promise<Ends> {
  const rtc = nodeDatachannelRtc();
  const relay = options.path ? new UdpRelay(options.path) : null;
  const nearRtc = relay ? throughRelay(rtc, relay) : rtc;
  const { near, far, end } = options.isFarEndElsewhere
    ? await dialProcess(nearRtc)
    : await dialSelf(nearRtc, rtc);
  near.allowPayload(MAX_FRAME_BYTES);
  return {
    near,
    far,
    async close() {
      near.close("The measurement is over");
      await systemClock.sleep(50);
      await end();
      relay?.close();
      rtc.close();
    },
  };
}

type Dialled = { near: PeerLink; far: PeerLink | null; end: () => Promise<void> };

async function dialSelf(nearRtc: RtcProvider, farRtc: RtcProvider): Promise<Dialled> {
  const [a, b] = [await createIdentity(meshCrypto), await createIdentity(meshCrypto)];
  const atA = new Mailbox((signal) => atB.take(signal));
  const atB: Mailbox = new Mailbox((signal) => atA.take(signal));
  const [near, far] = await Promise.all([
    dialLink({ ...dialOptions(nearRtc, atA), isInitiator: true, identity: a, peerId: b.peerId }),
    dialLink({ ...dialOptions(farRtc, atB), isInitiator: false, identity: b, peerId: a.peerId }),
  ]);
  far.allowPayload(MAX_FRAME_BYTES);
  echoOn(far);
  return { near, far, end: () => Promise.resolve() };
}

async function dialProcess(rtc: RtcProvider): Promise<Dialled> {
  const identity = await createIdentity(meshCrypto);
  const child = spawn(Deno.execPath(), ["run", "-A", "--no-lock", fileURLToPath(import.meta.url)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const write = (message: unknown) => void child.stdin.write(`${JSON.stringify(message)}\n`);
  const exchange = new Mailbox(write);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { peerId } = JSON.parse((await lines.next()).value ?? "{}");
  write({ peerId: identity.peerId });
  takeLines(lines, (signal) => exchange.take(signal));
  const options = dialOptions(rtc, exchange);
  const near = await dialLink({ ...options, isInitiator: true, identity, peerId });
  const end = async () => {
    child.stdin.end();
    await exited;
  };
  return { near, far: null, end };
}

/** The far end's process: talks to the near one's on stdin and stdout until stdin ends. */
async function serveFarEnd(): Promise<void> {
  const rtc = nodeDatachannelRtc();
  const identity = await createIdentity(meshCrypto);
  const write = (message: unknown) => console.log(JSON.stringify(message));
  const exchange = new Mailbox(write);
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  write({ peerId: identity.peerId });
  const { peerId } = JSON.parse((await lines.next()).value ?? "{}");
  const ended = takeLines(lines, (signal) => exchange.take(signal));
  const options = dialOptions(rtc, exchange);
  const link = await dialLink({ ...options, isInitiator: false, identity, peerId });
  link.allowPayload(MAX_FRAME_BYTES);
  echoOn(link);
  await ended;
  rtc.close();
}

function dialOptions(rtc: RtcProvider, exchange: SignalExchange) {
  return {
    rtc,
    exchange,
    iceServers: [],
    crypto: meshCrypto,
    clock: systemClock,
  } satisfies Partial<DialOptions>;
}

async function takeLines(
  lines: AsyncIterator<string>,
  take: (message: unknown) => void,
): Promise<void> {
  for (let line = await lines.next(); !line.done; line = await lines.next()) {
    take(JSON.parse(line.value));
  }
}

/** One side's end of the exchange of signals. */
class Mailbox implements SignalExchange {
  readonly send: (signal: unknown) => void;
  readonly #early: unknown[] = [];
  #onSignal: ((signal: unknown) => void) | null = null;

  constructor(send: (signal: unknown) => void) {
    this.send = send;
  }

  take(signal: unknown): void {
    if (this.#onSignal) this.#onSignal(signal);
    else this.#early.push(signal);
  }

  listen(onSignal: (signal: unknown) => void): () => void {
    this.#onSignal = onSignal;
    for (const signal of this.#early.splice(0)) onSignal(signal);
    return () => void (this.#onSignal = null);
  }
}

if (import.meta.main) {
  await serveFarEnd();
  Deno.exit();
}
