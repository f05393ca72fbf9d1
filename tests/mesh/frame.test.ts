import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checksum32 } from "../../src/mesh/checksum.ts";
import {
  encodeFrameHeader,
  type Frame,
  FRAME_HEADER_BYTES,
  isFrameIntact,
  parseFrameHeader,
} from "../../src/mesh/frame.ts";
import { FrameAssembler } from "../../src/mesh/frame_assembler.ts";
import { sliceFrame } from "../../src/mesh/frame_slices.ts";
import { fuzzFrames } from "./frame_fuzz.ts";

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const anyFrame: fc.Arbitrary<Frame> = fc.record({
  type: fc.constantFrom("batch", "tokens", "weights", "probe"),
  epoch: u32,
  sequence: u32,
  position: u32,
  numTokens: u32,
  dtype: fc.constantFrom("none", "f32", "f16"),
  payload: fc.oneof(
    fc.uint8Array({ maxLength: 70 }),
    fc.integer({ min: 4_000, max: 70_000 }).map((length) => new Uint8Array(length).fill(length)),
  ),
});
const anyLane = fc.constantFrom("hot" as const, "bulk" as const);

describe("the frame header", () => {
  it("gives back what was encoded", () => {
    fc.assert(fc.property(anyFrame, (frame) => {
      const bytes = encode(frame);
      const { payload, ...rest } = frame;
      expect(parseFrameHeader(bytes)).toEqual({
        ...rest,
        lengthBytes: payload.length,
        checksum: expect.any(Number),
      });
      expect(isFrameIntact(bytes, payload)).toBe(true);
    }));
  });

  it("has its fields where the wire format says, little-endian", () => {
    const bytes = encode({
      type: "tokens",
      epoch: 0x04030201,
      sequence: 0x08070605,
      position: 0x0c0b0a09,
      numTokens: 0x100f0e0d,
      dtype: "f16",
      payload: new Uint8Array(258),
    });
    const text = [...bytes.subarray(0, 28)].map((byte) => byte.toString(16)).join(" ");
    expect(text).toBe("54 46 1 1 1 2 3 4 5 6 7 8 9 a b c d e f 10 2 0 0 0 2 1 0 0");
  });

  it("is refused with a reason when a field is none that we know", () => {
    const refusals: [number, number, string][] = [
      [0, 0x55, "Not a frame"],
      [2, 2, "Unknown frame version 2"],
      [3, 4, "Unknown frame type 4"],
      [20, 3, "Unknown element type 3"],
      [21, 1, "Reserved bytes are set"],
      [23, 128, "Reserved bytes are set"],
    ];
    for (const [offset, value, reason] of refusals) {
      const bytes = encode(makeFrame(0));
      bytes[offset] = value;
      expect(parseFrameHeader(bytes)).toBe(reason);
    }
    expect(parseFrameHeader(new Uint8Array(31))).toBe("31 bytes are no frame header");
  });

  it("cannot be made of numbers that are no u32", () => {
    for (const epoch of [-1, 2 ** 32, 0.5, NaN]) {
      expect(() => encode({ ...makeFrame(0), epoch })).toThrow(RangeError);
    }
  });
});

describe("the checksum", () => {
  it("shows every change of a byte, at every alignment", () => {
    fc.assert(fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 100 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (bytes, at, flip) => {
        const before = checksum32(bytes);
        const shifted = new Uint8Array(bytes.length + 1);
        shifted.set(bytes, 1);
        expect(checksum32(shifted.subarray(1))).toBe(before);
        bytes[at % bytes.length]! ^= flip;
        expect(checksum32(bytes)).not.toBe(before);
      },
    ));
  });

  it("shows swapped words, a missing zero and another seed", () => {
    const bytes = Uint8Array.from({ length: 64 }, (_, i) => i);
    const swapped = Uint8Array.of(...bytes.subarray(16, 32), ...bytes.subarray(0, 16));
    expect(checksum32(swapped)).not.toBe(checksum32(bytes.subarray(0, 32)));
    expect(checksum32(new Uint8Array(16))).not.toBe(checksum32(new Uint8Array(15)));
    expect(checksum32(bytes, 1)).not.toBe(checksum32(bytes));
  });
});

describe("slices", () => {
  it("come together again, one frame after the other", () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { minLength: 1, maxLength: 4 }), anyLane, (frames, lane) => {
        const assembler = new FrameAssembler(70_000);
        const arrived = frames.flatMap((frame) =>
          [...sliceFrame(frame, lane)].map((slice) => assembler.push(slice.slice()))
        );
        const wholes = arrived.flatMap((assembly) => "frame" in assembly ? [assembly.frame] : []);
        expect(wholes).toEqual(frames);
        expect(arrived.every(({ type }) => type !== "fault")).toBe(true);
        expect(assembler.hasUnfinishedFrame).toBe(false);
      }),
      { numRuns: 50 },
    );
  });

  it("of a small hot frame fit in the four packets that leave at once", () => {
    const sizes = (sizeBytes: number, lane: "hot" | "bulk") =>
      [...sliceFrame(makeFrame(sizeBytes), lane)].map(({ length }) => length);
    expect(sizes(0, "hot")).toEqual([32]);
    expect(sizes(4_568, "hot")).toEqual([4_600]);
    expect(sizes(10_240, "hot")).toEqual([4_600, 4_600, 1_072]);
    expect(Math.max(...sizes(64 * 1024 - 32, "hot"))).toBe(4_600);
    for (const size of [...sizes(64 * 1024, "hot"), ...sizes(10_240, "bulk")]) {
      expect(size).toBeLessThanOrEqual(64 * 1024);
    }
    expect(sizes(10_240, "bulk")).toEqual([10_272]);
  });
});

describe("FrameAssembler", () => {
  const push = (messages: readonly Uint8Array[], maxPayloadBytes = 70_000) => {
    const assembler = new FrameAssembler(maxPayloadBytes);
    return messages.map((message) => assembler.push(message)).at(-1);
  };
  const slices = [...sliceFrame(makeFrame(10_000), "hot")];
  const [first = new Uint8Array(), second = new Uint8Array()] = slices;

  it("refuses a payload above the limit before it allocates anything", () => {
    const giant = encode(makeFrame(0));
    new DataView(giant.buffer).setUint32(24, 0xffff_fff0, true);
    expect(push([giant])).toEqual({
      type: "fault",
      reason: "Frame of 4294967280 bytes, where at most 70000 are allowed",
    });
    expect(push([first], 9_999)).toMatchObject({ type: "fault" });
    expect(push([first], 10_000)).toEqual({ type: "part" });
  });

  it("refuses slices that do not fit", () => {
    const tooLong = { type: "fault", reason: "Frame longer than its header says" };
    expect(push([first, second, second])).toEqual(tooLong);
    expect(push([Uint8Array.of(...encode(makeFrame(3)), 9)])).toEqual(tooLong);
    expect(push([first, new Uint8Array(0)])).toMatchObject({ reason: "Empty slice of a frame" });
    expect(push([first.subarray(0, 32)])).toMatchObject({ type: "fault" });
    expect(push([second])).toEqual({ type: "fault", reason: "Not a frame" });
  });

  it("refuses what is not what was sent, and everything after a fault", () => {
    const changed = second.slice();
    changed[7]! ^= 1;
    const wrong = { type: "fault", reason: "Frame's checksum does not match" };
    expect(push([first, changed, slices[2]!])).toEqual(wrong);
    expect(push([first, slices[2]!, second])).toEqual(wrong);
    expect(push([second, encode(makeFrame(3))])).toEqual({
      type: "fault",
      reason: "More messages after a fault",
    });
  });

  it("survives 1,000,000 mutated frames, lets none of them pass for a frame, keeps no memory", () => {
    fuzzFrames(10_000, 7);
    const beforeBytes = process.memoryUsage().heapUsed;
    const outcome = fuzzFrames(1_000_000);
    expect(outcome.numErrors).toBe(0);
    expect(outcome.numForged).toBe(0);
    expect(outcome.numFaults).toBeGreaterThan(500_000);
    // Copies of messages are followed by good frames now and then, so that assembly is reached.
    expect(outcome.numFrames).toBeGreaterThan(1_000);
    expect(process.memoryUsage().heapUsed - beforeBytes).toBeLessThan(64 * 1024 * 1024);
  });
});

function makeFrame(sizeBytes: number): Frame {
  const payload = Uint8Array.from({ length: sizeBytes }, (_, i) => (i * 31) >> 3);
  const header = { type: "batch", epoch: 1, sequence: 2, position: 3, numTokens: 4 } as const;
  return { ...header, dtype: "f32", payload };
}

/** Header and payload in one buffer. */
function encode(frame: Frame): Uint8Array {
  const bytes = new Uint8Array(FRAME_HEADER_BYTES + frame.payload.length);
  encodeFrameHeader(frame, bytes);
  bytes.set(frame.payload, FRAME_HEADER_BYTES);
  return bytes;
}
