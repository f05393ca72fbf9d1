/**
 * Frames as an attacker might send them: whole runs of messages, each changed somewhere, through
 * parser and assembler.
 *
 * @module
 */
import type { Frame } from "../../src/mesh/frame.ts";
import { FrameAssembler } from "../../src/mesh/frame_assembler.ts";
import { sliceFrame } from "../../src/mesh/frame_slices.ts";

const MAX_PAYLOAD_BYTES = 16 * 1024;

/** What became of the mutated frames. `numFrames` got through: their mutation changed nothing. */
export interface FuzzOutcome {
  readonly numFaults: number;
  readonly numFrames: number;
  /** Frames that arrived although they are not what was sent. */
  readonly numForged: number;
  readonly numErrors: number;
}

/** Sends `numFrames` mutated frames. The same seed gives the same frames. */
export function fuzzFrames(numFrames: number, seed = 1): FuzzOutcome {
  const random = new XorShift(seed);
  const outcome = { numFaults: 0, numFrames: 0, numForged: 0, numErrors: 0 };
  const templates = [0, 1, 100, 5_000, 12_000].map(makeTemplate);
  let assembler = new FrameAssembler(MAX_PAYLOAD_BYTES);
  for (let i = 0; i < numFrames; i++) {
    const template = templates[random.below(templates.length)]!;
    for (const message of mutate(template.messages, random)) {
      try {
        const assembly = assembler.push(message);
        if (assembly.type === "part") continue;
        if (assembly.type === "frame") {
          outcome.numFrames++;
          if (!isOneOf(templates, assembly.frame)) outcome.numForged++;
          continue;
        }
        outcome.numFaults++;
      } catch {
        outcome.numErrors++;
      }
      // The link is gone; the next attacker has a new one.
      assembler = new FrameAssembler(MAX_PAYLOAD_BYTES);
      break;
    }
  }
  return outcome;
}

interface Template {
  readonly frame: Frame;
  readonly messages: readonly Uint8Array[];
}

function makeTemplate(sizeBytes: number): Template {
  const payload = Uint8Array.from({ length: sizeBytes }, (_, i) => i * 7);
  const header = { type: "batch", epoch: 1, sequence: 2, position: 3, numTokens: 4 } as const;
  const frame: Frame = { ...header, dtype: "f16", payload };
  return { frame, messages: [...sliceFrame(frame, "hot")] };
}

/** One of the ways in which a run of messages can be wrong. The messages stay as they are. */
function mutate(messages: readonly Uint8Array[], random: XorShift): Uint8Array[] {
  const copies = [...messages];
  const index = random.below(copies.length);
  const bytes = Uint8Array.from(copies[index]!.subarray(0, copies[index]!.length));
  copies[index] = bytes;
  const inHeader = Math.min(bytes.length, 32);
  switch (random.below(8)) {
    case 0: // One bit, mostly of the header.
      bytes[random.below(random.below(4) ? inHeader : bytes.length)]! ^= 1 << random.below(8);
      break;
    case 1: // One byte of the header.
      bytes[random.below(inHeader)] = random.below(256);
      break;
    case 2: // A length or another field at its limits.
      if (inHeader === 32) {
        const values = [0, 1, MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES + 1, 0x7fffffff, 0xffffffff];
        const view = new DataView(bytes.buffer);
        view.setUint32(4 * random.below(8), values[random.below(values.length)]!, true);
      }
      break;
    case 3:
      copies[index] = bytes.subarray(0, random.below(bytes.length + 1));
      break;
    case 4: {
      const longer = new Uint8Array(bytes.length + 1 + random.below(40));
      longer.set(bytes);
      copies[index] = longer;
      break;
    }
    case 5:
      copies.splice(index, 1);
      break;
    case 6:
      copies.splice(index, 0, bytes.slice());
      break;
    default:
      for (let i = 0; i < inHeader; i++) bytes[i] = random.below(256);
  }
  return copies;
}

function isOneOf(templates: readonly Template[], { payload, ...header }: Frame): boolean {
  return templates.some(({ frame }) =>
    frame.payload.length === payload.length && frame.type === header.type &&
    frame.epoch === header.epoch && frame.sequence === header.sequence &&
    frame.position === header.position && frame.numTokens === header.numTokens &&
    frame.dtype === header.dtype && frame.payload.every((byte, i) => byte === payload[i])
  );
}

/** Marsaglia's 32-bit generator. */
class XorShift {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** Uniform over [0, limit). */
  below(limit: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % limit;
  }
}
