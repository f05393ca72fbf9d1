import { parseArgs } from "node:util";
import type { WeightFormat } from "../src/core.ts";
import { WEIGHT_FORMATS } from "../src/formats/weight_format.ts";
import { type ShapeName, SHAPES } from "./shapes.ts";

/** What a bench was asked for; null and absent leave the choice to the adapter. */
export interface BenchOptions {
  readonly model: string | null;
  readonly shape: ShapeName | null;
  readonly weights: readonly WeightFormat[] | null;
  readonly only: readonly string[] | null;
  readonly batches: readonly number[];
  readonly promptTokens: number | null;
  readonly decodeTokens: number | null;
  readonly chunkTokens: number | null;
  readonly repeats: number | null;
  /** MiB of weights that are rotated, to be more than the cache. */
  readonly rotateMib: number | null;
  readonly adapter: string | null;
  readonly isDeterministic: boolean | null;
  readonly isChecked: boolean;
  /** JSON lines alone: no table, no progress. */
  readonly isJson: boolean;
}

/** A command line that makes no sense; the message says what would. */
export class OptionError extends Error {
  override readonly name = "OptionError";
}

export const HELP =
  `bench kernels [options]   GPU time of every kernel against the measured ceilings
bench offline [options]   tokens/s of prefill and decode, and where the time of a step goes
bench mesh [options]      cost of a hop, slow paths, and how well stages on three processes overlap

  --model M            hub id, folder, .gguf file or URL (offline; default SmolLM2-135M-Instruct)
  --shape NAME         random weights of a true shape instead: ${Object.keys(SHAPES).join(", ")}
  --weights F,...      ${Object.keys(WEIGHT_FORMATS).join(", ")}
                       (offline takes one, for --shape; kernels takes several)
  --only NAME,...      these kernels alone (kernels), or these measures (mesh): one-way, bulk,
                       overlap, slow-hop, hop, hop-tab
  --batch N,...        sequences at once (offline; default 1,8,32)
  --prompt N           prompt tokens of each sequence (offline; default 512, software adapters 16)
  --decode N           decoded tokens of each sequence and repeat (offline; default 64, or 4)
  --chunk N            most tokens in a step (offline; default 512, or 64)
  --repeats N          measurements, of which the median counts (default 5, offline on software 3, hops 500)
  --rotate-mib N       weights to rotate through (kernels; default 300, software adapters 0)
  --adapter NAME       adapter whose name contains NAME
  --deterministic      kernels whose order of additions does not depend on the batch
  --no-deterministic   the opposite; software adapters are deterministic by default
  --checked            keep WebGPU's validation and robustness on
  --json               nothing but JSON lines`;

/** Reads the options after `bench kernels`, `bench offline` or `bench mesh`. Throws an OptionError. */
export function parseOptions(args: readonly string[]): BenchOptions {
  const { values } = parse(args);
  const shape = values.shape ?? null;
  if (shape !== null && !isKeyOf(SHAPES, shape)) {
    throw new OptionError(
      `There is no shape "${shape}": use ${Object.keys(SHAPES).join(", ")}`,
    );
  }
  if (shape !== null && values.model !== undefined) {
    throw new OptionError('"--model" and "--shape" exclude each other');
  }
  return {
    model: values.model ?? null,
    shape,
    weights: values.weights === undefined ? null : splitList(values.weights).map(weightFormat),
    only: values.only === undefined ? null : splitList(values.only),
    batches: splitList(values.batch ?? "1,8,32").map((text) => count("batch", text)),
    promptTokens: optionalCount("prompt", values.prompt),
    decodeTokens: optionalCount("decode", values.decode),
    chunkTokens: optionalCount("chunk", values.chunk),
    repeats: optionalCount("repeats", values.repeats),
    rotateMib: optionalCount("rotate-mib", values["rotate-mib"], 0),
    adapter: values.adapter ?? null,
    isDeterministic: values["no-deterministic"] ? false : values.deterministic ?? null,
    isChecked: values.checked ?? false,
    isJson: values.json ?? false,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        model: { type: "string" },
        shape: { type: "string" },
        weights: { type: "string" },
        only: { type: "string" },
        batch: { type: "string" },
        prompt: { type: "string" },
        decode: { type: "string" },
        chunk: { type: "string" },
        repeats: { type: "string" },
        "rotate-mib": { type: "string" },
        adapter: { type: "string" },
        deterministic: { type: "boolean" },
        "no-deterministic": { type: "boolean" },
        checked: { type: "boolean" },
        json: { type: "boolean" },
      },
    });
  } catch (error) {
    throw new OptionError((error as Error).message);
  }
}

function splitList(text: string): string[] {
  return text.split(",").map((part) => part.trim()).filter((part) => part !== "");
}

function weightFormat(text: string): WeightFormat {
  const name = text.toLowerCase();
  if (isKeyOf(WEIGHT_FORMATS, name)) return name;
  throw new OptionError(
    `There is no weight format "${text}": use ${Object.keys(WEIGHT_FORMATS).join(", ")}`,
  );
}

function optionalCount(name: string, text: string | undefined, minimum = 1): number | null {
  return text === undefined ? null : count(name, text, minimum);
}

function count(name: string, text: string, minimum = 1): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= minimum) return value;
  throw new OptionError(`"--${name}" takes integers of at least ${minimum}, got "${text}"`);
}

function isKeyOf<T extends object>(table: T, key: string): key is Extract<keyof T, string> {
  return Object.hasOwn(table, key);
}
