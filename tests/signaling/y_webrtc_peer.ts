/**
 * One program of y-webrtc's own: joins a room, writes a line into the shared document, prints the
 * document whenever it changes, and ends when its standard input does.
 */
import wrtc from "@roamhq/wrtc";
import { WebrtcProvider } from "y-webrtc";
import * as Y from "yjs";

const [url = "", room = "", line = ""] = Deno.args;
const doc = new Y.Doc();
const lines = doc.getArray<string>("lines");
const provider = new WebrtcProvider(room, doc, {
  signaling: [url],
  password: "a password",
  filterBcConns: true,
  peerOpts: { wrtc, config: { iceServers: [] } },
});
provider.on(
  "peers",
  ({ webrtcPeers }) => console.log(JSON.stringify({ peers: webrtcPeers.length })),
);
doc.on("update", () => console.log(JSON.stringify({ lines: lines.toArray() })));
lines.push([line]);
for await (const _ of Deno.stdin.readable);
Deno.exit(0);
