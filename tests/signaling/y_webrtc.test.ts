import { fileURLToPath } from "node:url";
import { afterEach, expect, it } from "vitest";
import { type RealServer, startRealServer } from "./real_server.ts";

const children: Deno.ChildProcess[] = [];
let signaling: RealServer | null = null;

afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill("SIGKILL");
    await child.status;
  }
  await signaling?.close();
});

/**
 * Resolves when a client is in the room. Two that arrive at once both dial, and y-webrtc's way out
 * of that leaves them apart for good about once in 75 times, whoever runs the server.
 */
async function someoneThere(): Promise<void> {
  while (signaling!.server.counts().topics === 0) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Starts y-webrtc's client; resolves with the shared lines once there are `numLines`. */
function join(room: string, { line, numLines }: { line: string; numLines: number }) {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", fileURLToPath(new URL("y_webrtc_peer.ts", import.meta.url))],
      ...[signaling!.url, room, line],
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  children.push(child);
  return readLines(child, numLines);
}

async function readLines(child: Deno.ChildProcess, numLines: number): Promise<string[]> {
  let text = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (const json of text.split("\n").slice(0, -1)) {
      const { lines } = JSON.parse(json);
      if (lines?.length >= numLines) return lines;
    }
  }
  throw new Error(`The client ended after "${text}"`);
}

it("y-webrtc's own clients find each other through it and share a document", async () => {
  signaling = await startRealServer();
  const adaReads = join("room", { line: "from Ada", numLines: 2 });
  await someoneThere();
  const bobReads = join("room", { line: "from Bob", numLines: 2 });
  const [ada, bob] = await Promise.all([adaReads, bobReads]);
  expect(new Set(ada)).toEqual(new Set(["from Ada", "from Bob"]));
  expect(bob).toEqual(ada);
  const { published, topics, connections, refused } = signaling.server.counts();
  expect({ topics, connections }).toEqual({ topics: 1, connections: 2 });
  // At least one announcement each, an offer and an answer.
  expect(published).toBeGreaterThanOrEqual(4);
  expect(Object.values(refused).every((count) => count === 0)).toBe(true);
});
