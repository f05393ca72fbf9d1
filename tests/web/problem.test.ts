import { describe, expect, test } from "vitest";
import { GpuLostError, GpuMemoryError, NoAdapterError } from "../../src/gpu/context.ts";
import { type Environment, problemOf, problemOfError } from "../../web/src/problem.ts";

const GOOD: Environment = {
  isSecureContext: true,
  origin: "http://localhost:8420",
  hasWebGpu: true,
  hasWebRtc: true,
  hasPrivateFiles: true,
  hasLink: true,
  linkProblem: null,
};

describe("problemOf()", () => {
  test("finds nothing wrong with a good browser on a good link", () => {
    expect(problemOf(GOOD)).toBeNull();
  });

  test("blames the insecure address, not what browsers hide because of it", () => {
    const hidden = { hasWebGpu: false, hasPrivateFiles: false, hasLink: false };
    const origin = "http://192.168.1.20:8420";
    expect(problemOf({ ...GOOD, ...hidden, origin, isSecureContext: false }))
      .toEqual({ type: "insecure", origin });
  });

  test("names every part that a browser lacks", () => {
    expect(problemOf({ ...GOOD, hasWebGpu: false, hasWebRtc: false, hasPrivateFiles: false }))
      .toEqual({ type: "unsupported", missing: ["WebGPU", "WebRTC", "private file storage"] });
  });

  test("tells a missing link from a damaged one", () => {
    const linkProblem = "cut off in its secret";
    expect(problemOf({ ...GOOD, hasLink: false, linkProblem })).toEqual({ type: "no-link" });
    expect(problemOf({ ...GOOD, linkProblem }))
      .toEqual({ type: "damaged-link", reason: linkProblem });
  });
});

describe("problemOfError()", () => {
  test.each([
    [new NoAdapterError("none"), "no-adapter"],
    [new GpuMemoryError("full"), "memory"],
    [new GpuLostError("reset"), "device-lost"],
    [new Error("rms_norm gives 0"), "unfit"],
  ])("%s", (error, type) => expect(problemOfError(error).type).toBe(type));
});
