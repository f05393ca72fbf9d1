/**
 * Floods a signaling server and prints what it managed:
 * `deno run -A tests/signaling/flooder.ts PORT KIND SECONDS`
 */
import { frame, openRawSocket, writeAll } from "./real_server.ts";

/**
 * What is sent as fast as it can be. "connections" sends one malformed message and comes again;
 * "bursts" sends as many messages as pass at once, leaves and comes again.
 */
export type FloodKind = "messages" | "frames" | "pings" | "connections" | "bursts";

/** What a flooder managed. */
export interface FlooderReport {
  /** Each but the first because the server hung up. */
  readonly numConnections: number;
  /** Attempts that the server turned down. */
  readonly numTurnedDown: number;
  readonly numBytes: number;
}

function bytesOf(kind: FloodKind): Uint8Array {
  const message = (data: string) => frame(JSON.stringify({ type: "publish", topic: "room", data }));
  switch (kind) {
    case "messages":
      return repeated(message("x"), 1000);
    case "frames":
      return message("x".repeat(64_000));
    case "pings":
      return repeated(frame("", 0x89), 5000);
    case "connections":
      return frame("{");
    case "bursts":
      return repeated(message("x"), 98);
  }
}

function repeated(bytes: Uint8Array, times: number): Uint8Array {
  const all = new Uint8Array(bytes.length * times);
  for (let i = 0; i < times; i++) all.set(bytes, i * bytes.length);
  return all;
}

async function flood(
  { port, kind, seconds }: { port: number; kind: FloodKind; seconds: number },
): Promise<FlooderReport> {
  const endMs = performance.now() + seconds * 1000;
  const bytes = bytesOf(kind);
  let [numConnections, numTurnedDown, numBytes] = [0, 0, 0];
  while (performance.now() < endMs) {
    const socket = await openRawSocket(port, '{"type":"subscribe","topics":["room"]}')
      .catch(() => null);
    if (socket === null) {
      numTurnedDown++;
      continue;
    }
    numConnections++;
    const timer = setTimeout(() => socket.close(), Math.max(1, endMs - performance.now()));
    try {
      if (kind === "connections" || kind === "bursts") numBytes += await sendOnce(socket, bytes);
      else for (;; numBytes += bytes.length) await writeAll(socket, bytes);
    } catch {
      // The server hung up, or the time is over.
    }
    clearTimeout(timer);
    if (performance.now() < endMs) socket.close();
  }
  return { numConnections, numTurnedDown, numBytes };
}

/** Sends, and waits until the server has hung up. */
async function sendOnce(socket: Deno.TcpConn, bytes: Uint8Array): Promise<number> {
  await writeAll(socket, bytes);
  await socket.closeWrite();
  while (await socket.read(new Uint8Array(1024)) !== null);
  return bytes.length;
}

if (import.meta.main) {
  const [port, kind, seconds] = Deno.args;
  const report = await flood({
    ...{ port: Number(port), kind: kind as FloodKind, seconds: Number(seconds) },
  });
  console.log(JSON.stringify(report));
  Deno.exit(0);
}
