/**
 * What it costs the server to stream tokens: its CPU time a token over HTTP on loopback, with an
 * engine that costs nothing.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { serveHttp } from "../signaling/http_server.ts";
import { systemClock, systemRng } from "../src/platform/system.ts";
import { createServer } from "../src/server/server.ts";
import { round } from "./cost.ts";
import { median } from "./median.ts";
import type { BenchOptions } from "./options.ts";
import { Report } from "./report.ts";
import { LockstepEngine } from "./streaming/lockstep_engine.ts";
import { WordTokenizer } from "./streaming/word_tokenizer.ts";

const READER = fileURLToPath(new URL("./streaming/reader_process.ts", import.meta.url));
const REPEATS = 5;
/** Over all streams. */
const NUM_TOKENS = 16_384;
/** Of the throughput, what streaming may cost at most. */
const MAX_SHARE = 0.03;

/** Prints one line for each number of streams. Returns the exit code. */
export async function benchStreaming(options: BenchOptions): Promise<number> {
  const report = new Report({
    bench: "streaming",
    isJson: options.isJson,
    common: { cores: navigator.hardwareConcurrency },
  });
  const repeats = options.repeats ?? REPEATS;
  for (const numStreams of options.batches) {
    const times = { streamed: [] as number[], whole: [] as number[] };
    // The first ones compile what the others run.
    for (let repeat = -1; repeat < repeats; repeat++) {
      const streamed = await cpuUsPerToken(numStreams, true);
      const whole = await cpuUsPerToken(numStreams, false);
      if (repeat < 0) continue;
      times.streamed.push(streamed);
      times.whole.push(whole);
    }
    const streamedUs = median(times.streamed);
    const wholeUs = median(times.whole);
    report.line({
      measure: "cpu-per-token",
      streams: numStreams,
      streamedUs: round(streamedUs),
      wholeUs: round(wholeUs),
      streamingUs: round(streamedUs - wholeUs),
      // Were no CPU time hidden behind the GPU's, streaming would cost 3 % of steps of this length.
      leastStepMs: round((streamedUs - wholeUs) * numStreams / MAX_SHARE / 1000),
      tokens: NUM_TOKENS,
      repeats,
    });
  }
  return 0;
}

/** CPU time of this process, in microseconds for each token, from the first token to the last byte. */
async function cpuUsPerToken(numStreams: number, isStream: boolean): Promise<number> {
  const tokenizer = new WordTokenizer();
  let start = process.cpuUsage();
  const server = createServer({
    engine: new LockstepEngine({
      numSequences: numStreams,
      onStart: () => start = process.cpuUsage(),
    }),
    tokenizer,
    chatTemplate: { render: () => "Hello there" },
    model: { id: "words", vocabSize: tokenizer.vocabSize, eosTokenIds: [] },
    ...{ clock: systemClock, rng: systemRng, version: "0" },
  });
  const http = await serveHttp({
    ...{ hostname: "127.0.0.1", port: 0 },
    handle: (request, remoteAddress) => server.fetch(request, { remoteAddress }),
  });
  try {
    const maxTokens = Math.ceil(NUM_TOKENS / numStreams);
    await readAnswers(`http://127.0.0.1:${http.port}/v1/chat/completions`, {
      numStreams,
      body: {
        messages: [{ role: "user", content: "Hello" }],
        ...{ max_tokens: maxTokens, stream: isStream },
      },
    });
    const { user, system } = process.cpuUsage(start);
    return (user + system) / (maxTokens * numStreams);
  } finally {
    await http.close();
  }
}

/** Posts from another process and reads everything there. */
async function readAnswers(
  url: string,
  { numStreams, body }: { readonly numStreams: number; readonly body: unknown },
): Promise<void> {
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "-A", READER, url, String(numStreams), JSON.stringify(body)],
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).output();
  if (code !== 0) throw new Error("The process that reads the answers failed");
}
