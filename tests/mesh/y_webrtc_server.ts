import { fileURLToPath } from "node:url";
import type { SignalingServerUnderTest } from "../contracts/signaling_server.ts";
import { openTextSocket } from "../../src/platform/ws_socket.ts";
import { findProgram } from "../platform/find_program.ts";

/** Makes the server listen on the loopback interface alone, and print its port. */
const ON_LOOPBACK = `
import { Server } from "node:net";
const { listen } = Server.prototype;
Server.prototype.listen = function (port) {
  return listen.call(this, { port, host: "127.0.0.1" }, () => {
    console.log("PORT=" + this.address().port);
  });
};`;

/** y-webrtc's own server, in a process of its own in Node. */
export async function startYWebrtcServer(): Promise<SignalingServerUnderTest> {
  const node = await findProgram("node");
  const path = "../../node_modules/y-webrtc/bin/server.js";
  const program = fileURLToPath(new URL(path, import.meta.url));
  let process: Deno.ChildProcess;
  let port = 0;
  const start = async () => {
    process = new Deno.Command(node, {
      args: ["--import", `data:text/javascript,${encodeURIComponent(ON_LOOPBACK)}`]
        .concat(program),
      env: { PORT: `${port}` },
      ...{ stdin: "null", stdout: "piped", stderr: "inherit" },
    }).spawn();
    port = await portIn(process.stdout);
  };
  await start();
  return {
    ...{ url: `ws://127.0.0.1:${port}`, openSocket: openTextSocket, start },
    async stop() {
      process.kill("SIGKILL");
      await process.status;
    },
  };
}

/** Reads output until the port is in it; the rest is thrown away. */
async function portIn(output: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<number> {
  const reader = output.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`The server ended: ${text}`);
    text += value;
    const port = /PORT=(\d+)/.exec(text)?.[1];
    if (port === undefined) continue;
    void reader.cancel();
    return Number(port);
  }
}
