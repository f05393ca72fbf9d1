import { parseArgs } from "node:util";
import type { WeightFormat } from "../src/core.ts";
import { WEIGHT_FORMATS } from "../src/formats/weight_format.ts";
import { type ShapeName, SHAPES } from "./shapes.ts";

/** What a bench was asked for; null and absent leave the choice to the adapter. */
export interface BenchOptions {
  readonly model: string | null;
  readonly shape: ShapeName | null;
  readonly weights: readonly WeightFormat[] | null;
  /** Of a shape, which has more. */
  readonly numLayers: number | null;
  readonly only: readonly string[] | null;
  readonly batches: readonly number[];
  readonly promptTokens: number | null;
  readonly decodeTokens: number | null;
  readonly chunkTokens: number | null;
  readonly repeats: number | null;
  /** Numbers of users, a level each. */
  readonly users: readonly number[] | null;
  readonly outputTokens: number | null;
  /** Requests a second of each user; null for users who wait for their answers. */
  readonly ratePerS: number | null;
  /** Mean pause between an answer and the next request. */
  readonly thinkMs: number | null;
  readonly windowS: number | null;
  readonly seed: number;
  /** Another server than our own, without "/v1". */
  readonly url: string | null;
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
bench online [options]    what users of a server see: first token, tokens/s, cached prefixes
bench streaming [options] CPU time of the server to stream a token over HTTP

  --model M            hub id, folder, .gguf file or URL (offline, online; default
                       SmolLM2-135M-Instruct)
  --shape NAME         random weights of a true shape instead: ${Object.keys(SHAPES).join(", ")}
  --weights F,...      ${Object.keys(WEIGHT_FORMATS).join(", ")}
                       (offline and online take one, for --shape; kernels takes several)
  --layers N           so many layers of --shape alone (offline)
  --only NAME,...      these kernels alone (kernels), or these measures (mesh): one-way, bulk,
                       overlap, slow-hop, hop, hop-tab; decode, load, prefix, interference (online)
  --batch N,...        sequences at once (offline, streaming; default 1,8,32)
  --prompt N           prompt tokens of each sequence (offline, online; default 512, software adapters 16)
  --decode N           decoded tokens of each sequence and repeat (offline; default 64, or 4)
  --chunk N            most tokens in a step (offline, online; default 512, or 64)
  --repeats N          measurements, of which the median counts (default 5, offline on software 3, hops 500,
                       online 3, on software 2)
  --rotate-mib N       weights to rotate through (kernels; default 300, software adapters 0)
  --users N,...        users at once (online; default 1,4,16,32)
  --output N           tokens of an answer (online; default 128, software adapters 8)
  --rate R             each user sends R requests a second, Poisson, whatever was answered (online)
  --think-ms N         mean pause of a user after an answer, where there is no rate (default 100)
  --seconds N          of each level, once every user had an answer (online; default 15, or 10)
  --seed N             of everything that is drawn (online; default 0)
  --url URL            an OpenAI server that runs, instead of one of our own (online)
  --adapter NAME       adapter whose name contains NAME
  --deterministic      kernels whose order of additions does not depend on the batch
  --no-deterministic   the opposite; software adapters are deterministic by default
  --checked            keep WebGPU's validation and robustness on
  --json               nothing but JSON lines`;

/** Reads the options after `bench kernels` and the other modes. Throws an OptionError. */
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
    numLayers: optionalCount("layers", values.layers),
    only: values.only === undefined ? null : splitList(values.only),
    batches: splitList(values.batch ?? "1,8,32").map((text) => count("batch", text)),
    promptTokens: optionalCount("prompt", values.prompt),
    decodeTokens: optionalCount("decode", values.decode),
    chunkTokens: optionalCount("chunk", values.chunk),
    repeats: optionalCount("repeats", values.repeats),
    users: values.users === undefined
      ? null
      : splitList(values.users).map((text) => count("users", text)),
    outputTokens: optionalCount("output", values.output),
    ratePerS: values.rate === undefined ? null : positive("rate", values.rate),
    thinkMs: optionalCount("think-ms", values["think-ms"], 0),
    windowS: optionalCount("seconds", values.seconds),
    seed: optionalCount("seed", values.seed, 0) ?? 0,
    url: values.url?.replace(/\/(v1\/?)?$/, "") ?? null,
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
        layers: { type: "string" },
        only: { type: "string" },
        batch: { type: "string" },
        prompt: { type: "string" },
        decode: { type: "string" },
        chunk: { type: "string" },
        repeats: { type: "string" },
        users: { type: "string" },
        output: { type: "string" },
        rate: { type: "string" },
        "think-ms": { type: "string" },
        seconds: { type: "string" },
        seed: { type: "string" },
        url: { type: "string" },
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

function positive(name: string, text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new OptionError(`"--${name}" takes a number above 0, got "${text}"`);
}

function isKeyOf<T extends object>(table: T, key: string): key is Extract<keyof T, string> {
  return Object.hasOwn(table, key);
}
