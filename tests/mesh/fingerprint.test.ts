import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  fingerprintsOfSignal,
  isAnnouncedFingerprint,
  readFingerprints,
} from "../../src/mesh/fingerprint.ts";
import { fingerprint, sdpWith } from "./sdp.ts";

describe("readFingerprints()", () => {
  it("finds those of the session and of its media, upper case and each once", () => {
    const [a, b] = [fingerprint(1), fingerprint(200)];
    const sdp = `v=0\r\na=fingerprint:sha-256 ${a.toLowerCase()}\r\n` +
      `m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=fingerprint:SHA-256  ${a}\r\n` +
      `a=fingerprint:sha-256 ${b} \na=setup:actpass\r\n`;
    expect(readFingerprints(sdp)).toEqual([a, b]);
  });

  it("passes over other hashes, cut off lines and what only looks like one", () => {
    const a = fingerprint(1);
    for (
      const line of [
        `a=fingerprint:sha-1 ${a.slice(0, 59)}`,
        `a=fingerprint:sha-512 ${a}:${a}`,
        `a=fingerprint:sha-256 ${a.slice(0, -3)}`,
        `a=fingerprint:sha-256 ${a}:00`,
        `a=fingerprint:sha-256 ${a.replaceAll(":", "")}`,
        `a=fingerprint:sha-256 ${a.replace("01", "0G")}`,
        `s=a=fingerprint:sha-256 ${a}`,
      ]
    ) {
      expect(readFingerprints(`v=0\r\n${line}\r\n`), line).toEqual([]);
    }
  });
});

describe("fingerprintsOfSignal()", () => {
  it("reads session descriptions and is empty for everything else", () => {
    const offer = { type: "offer", sdp: sdpWith(fingerprint(7)) };
    expect(fingerprintsOfSignal(offer)).toEqual([fingerprint(7)]);
    fc.assert(fc.property(fc.anything(), (signal) => {
      expect(fingerprintsOfSignal(signal)).toEqual([]);
    }));
  });
});

describe("isAnnouncedFingerprint()", () => {
  it("compares without regard to case", () => {
    const announced = [fingerprint(1), fingerprint(2)];
    expect(isAnnouncedFingerprint(announced, fingerprint(2).toLowerCase())).toBe(true);
    expect(isAnnouncedFingerprint(announced, fingerprint(3))).toBe(false);
    expect(isAnnouncedFingerprint([], fingerprint(3))).toBe(false);
  });
});
