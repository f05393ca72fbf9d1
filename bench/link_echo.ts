import type { PeerLink } from "../src/mesh/peer_link.ts";

/**
 * What the far end of a measured link does: sends "probe" frames back, and says "counted" on the
 * control channel once it got as many bytes of "weights" frames as it was asked to count.
 */
export function echoOn(link: PeerLink): void {
  let numBytes = 0;
  let wantedBytes = Infinity;
  const report = () => {
    if (numBytes < wantedBytes) return;
    numBytes = 0;
    wantedBytes = Infinity;
    link.sendControl("counted");
  };
  link.listen({
    onFrame(frame) {
      if (frame.type === "probe") link.sendFrame(frame, "hot").catch(() => {});
      if (frame.type !== "weights") return;
      numBytes += frame.payload.length;
      report();
    },
    onControl(message) {
      const { count } = Object(message);
      if (typeof count !== "number") return;
      wantedBytes = count;
      report();
    },
  });
}
