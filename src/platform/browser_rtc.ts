/**
 * WebRTC of the browser itself.
 *
 * @module
 */
import type { RtcProvider } from "./platform.ts";

/** Of a page: workers have no WebRTC. */
export function browserRtc(): RtcProvider {
  return {
    wrtc: { RTCPeerConnection, RTCSessionDescription, RTCIceCandidate },
    // Firefox does not tell.
    remoteFingerprint: (connection) => certificateFingerprint(connection.sctp?.transport),
    close: () => {},
  };
}

/** SHA-256 of the other side's certificate as SDP writes it; null where it is not told. */
export async function certificateFingerprint(
  transport: Partial<Pick<RTCDtlsTransport, "getRemoteCertificates">> | undefined,
): Promise<string | null> {
  const certificate = transport?.getRemoteCertificates?.()[0];
  if (certificate === undefined || certificate.byteLength === 0) return null;
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", certificate));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0").toUpperCase()).join(":");
}
