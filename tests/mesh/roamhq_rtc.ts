import wrtc from "@roamhq/wrtc";
import { certificateFingerprint } from "../../src/platform/browser_rtc.ts";
import type { RtcProvider } from "../../src/platform/platform.ts";

/** WebRTC as browsers implement it (libwebrtc), for tests of how we get on with it. */
export function roamhqRtc(): RtcProvider {
  return {
    wrtc: wrtc as unknown as RtcProvider["wrtc"],
    remoteFingerprint: (connection) => certificateFingerprint(connection.sctp?.transport),
    close: () => {},
  };
}
