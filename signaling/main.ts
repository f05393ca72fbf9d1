/**
 * `deno task signaling`: a signaling server of its own.
 *
 * @module
 */
import { Command, InvalidArgumentError, Option } from "commander";
import { systemClock } from "../src/platform/system.ts";
import { serveHttp } from "./http_server.ts";
import { DEFAULT_LIMITS, type SignalingLimits } from "./limits.ts";
import { SignalingServer } from "./server.ts";
import { signalingEndpoint } from "./socket_endpoint.ts";

/** The port of y-webrtc's server. */
const DEFAULT_PORT = 4444;

const LIMIT_DESCRIPTIONS = {
  frameBytes: "longest message",
  topicBytes: "longest name of a topic",
  topicsPerConnection: "topics of one connection",
  membersPerTopic: "connections of one topic",
  messagesPerS: "messages of one connection, over longer times",
  burstMessages: "messages of one connection at once",
  bytesPerS: "bytes of one connection, over longer times",
  burstBytes: "bytes of one connection at once",
  waitingMessages: "messages beyond a burst that wait for their turn",
  connectionsPerAddress: "connections of one address or IPv6 /64; raise it behind a proxy",
  connections: "connections in all",
  handshakeMs: "time until the first message",
  pingMs: "time between two pings, and for the pong",
  bufferedBytes: "bytes that may wait for a slow reader",
} as const satisfies Record<keyof SignalingLimits, string>;

/** The flags. */
interface SignalingFlags extends SignalingLimits {
  readonly host: string;
  readonly port: number;
  readonly allowOrigin?: readonly string[];
}

/** Runs one command line. Returns the exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted. */
export async function main(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const program = new Command("signaling")
    .description("Lets the peers of a mesh find each other (y-webrtc's signaling protocol)")
    .exitOverride()
    .addOption(option("--host <address>", "address to listen on").default("127.0.0.1"))
    .addOption(
      option("--port <n>", "port, 0 for any free one").default(DEFAULT_PORT)
        .argParser(wholeNumber(0, 65_535)),
    )
    .addOption(
      option(
        "--allow-origin <origin...>",
        'only pages of these origins may connect, "self" for the server\'s own (default: all)',
      ),
    );
  for (const [name, description] of Object.entries(LIMIT_DESCRIPTIONS)) {
    program.addOption(
      option(`--${kebabCase(name)} <n>`, description)
        .default(DEFAULT_LIMITS[name as keyof SignalingLimits])
        .argParser(wholeNumber(1, 2 ** 31 - 1)),
    );
  }
  program.action(async (flags: SignalingFlags) => {
    exitCode = await serve(flags);
  });
  try {
    await program.parseAsync([...args], { from: "user" });
  } catch (error) {
    if (isUsageExit(error)) return error.exitCode === 0 ? 0 : 2;
    console.error(`Error: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  }
  return exitCode;
}

/** Serves until a signal comes. */
async function serve({ host, port, allowOrigin, ...limits }: SignalingFlags): Promise<number> {
  const server = new SignalingServer({
    ...{ clock: systemClock, limits },
    ...(allowOrigin ? { allowedOrigins: origins(allowOrigin) } : {}),
  });
  const endpoint = signalingEndpoint(server);
  const http = await serveHttp({
    ...{ hostname: host, port },
    handle: (request) => endpoint.handle(request),
    upgrade: (request, socket, head) => endpoint.upgrade(request, socket, head),
  }).catch((cause: unknown) => {
    throw new Error(`Cannot listen on ${host}:${port}: choose another with --port`, { cause });
  });
  const { signal, exitCode } = untilSignal();
  console.log(`ws://${host.includes(":") ? `[${host}]` : host}:${http.port}`);
  await server.run(signal);
  await http.close();
  return exitCode();
}

/** Aborts on the first SIGINT (exit code 130) or SIGTERM (0); the second ends at once. */
function untilSignal(): { signal: AbortSignal; exitCode: () => number } {
  const stop = new AbortController();
  let exitCode = 0;
  const on = (name: Deno.Signal, code: number) => {
    Deno.addSignalListener(name, () => {
      if (stop.signal.aborted) Deno.exit(130);
      exitCode = code;
      stop.abort();
    });
  };
  on("SIGINT", 130);
  if (Deno.build.os !== "windows") on("SIGTERM", 0);
  return { signal: stop.signal, exitCode: () => exitCode };
}

/** Of an environment variable, origins come separated by commas. */
function origins(given: readonly string[] | string): string[] {
  return [given].flat().flatMap((text) => text.split(",")).map((text) => text.trim())
    .filter((text) => text !== "");
}

/** An option that is also an environment variable: `--port` is TESSERA_SIGNALING_PORT. */
function option(flags: string, description: string): Option {
  const made = new Option(flags, description);
  return made.env(`TESSERA_SIGNALING_${made.name().replaceAll("-", "_").toUpperCase()}`);
}

function kebabCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function wholeNumber(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isSafeInteger(value) && value >= minimum && value <= maximum) return value;
    throw new InvalidArgumentError(`Use a whole number from ${minimum} to ${maximum}`);
  };
}

function isUsageExit(error: unknown): error is { readonly exitCode: number } {
  return error instanceof Error && "code" in error && String(error.code).startsWith("commander.") &&
    "exitCode" in error;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
