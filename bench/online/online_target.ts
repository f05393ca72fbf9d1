import { round } from "../cost.ts";
import { type BenchOptions, OptionError } from "../options.ts";
import type { Target } from "./completion_client.ts";
import { startServing } from "./serving_process.ts";

/** The server that is asked. */
export interface OnlineTarget extends Target {
  /** Prompts are of ids below it. */
  readonly vocabSize: number;
  /** Null where nobody tells. */
  readonly adapter: string | null;
  readonly isSoftware: boolean;
  readonly isDeterministic: boolean | null;
  /** How it started; null for one that ran already. */
  readonly startLine: Readonly<Record<string, unknown>> | null;
  close(): Promise<void>;
}

/** Of ids that every model has. */
const COMMON_IDS = 8192;

/** The server at `--url`, or one of our own, started with `args`. */
export async function openTarget(
  options: BenchOptions,
  args: readonly string[],
): Promise<OnlineTarget> {
  if (options.url !== null) {
    return {
      ...{ url: options.url, model: options.model ?? await servedModel(options.url) },
      ...{ vocabSize: COMMON_IDS, adapter: null, isSoftware: false, isDeterministic: null },
      startLine: null,
      close: () => Promise.resolve(),
    };
  }
  const serving = await startServing(args);
  const { weightBytes, loadMs, kvTokens } = serving;
  return {
    ...serving,
    startLine: { gb: round(weightBytes / 1e9), loadS: round(loadMs / 1000), kvTokens },
  };
}

/** The only model of a server, or its first. Throws an OptionError when there is none. */
async function servedModel(url: string): Promise<string> {
  const path = `${url}/v1/models`;
  const response = await fetch(path).catch((error) => {
    throw new OptionError(`Nothing answers at "${path}": ${error.message}`);
  });
  const list = response.ok ? await response.json().catch(() => null) : null;
  const id: unknown = list?.data?.[0]?.id;
  if (typeof id === "string") return id;
  throw new OptionError(`"${path}" lists no model: name one with --model`);
}
