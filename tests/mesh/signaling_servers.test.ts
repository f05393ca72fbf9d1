import { type HttpServer, serveHttp } from "../../signaling/http_server.ts";
import { SignalingServer } from "../../signaling/server.ts";
import { signalingEndpoint } from "../../signaling/socket_endpoint.ts";
import { openTextSocket } from "../../src/platform/ws_socket.ts";
import {
  signalingServerContract,
  type SignalingServerUnderTest,
} from "../contracts/signaling_server.ts";
import { realClock } from "../server/clocks.ts";
import { FakeHub } from "./fake_hub.ts";
import { startYWebrtcServer } from "./y_webrtc_server.ts";

signalingServerContract("A fake hub", () => {
  const hub = new FakeHub();
  return Promise.resolve({
    ...{ url: "ws://hub/signaling", openSocket: hub.openSocket },
    stop: () => Promise.resolve(hub.stop()),
    start: () => Promise.resolve(void (hub.isDown = false)),
  });
});

signalingServerContract("y-webrtc's server", startYWebrtcServer);

signalingServerContract("The mesh's own server", startOwnServer);

async function startOwnServer(): Promise<SignalingServerUnderTest> {
  let http: HttpServer;
  let stopping: AbortController;
  let port = 0;
  const start = async () => {
    const server = new SignalingServer({ clock: realClock });
    const endpoint = signalingEndpoint(server, { path: "/signaling" });
    http = await serveHttp({ hostname: "127.0.0.1", port, ...endpoint });
    port = http.port;
    stopping = new AbortController();
    void server.run(stopping.signal);
  };
  await start();
  return {
    ...{ url: `ws://127.0.0.1:${port}/signaling`, openSocket: openTextSocket, start },
    stop() {
      stopping.abort();
      return http.close();
    },
  };
}
