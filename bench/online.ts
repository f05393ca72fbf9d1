/**
 * A load generator over HTTP: what users of a server see, alone and among others.
 *
 * @module
 */
import { systemClock } from "../src/platform/system.ts";
import { round } from "./cost.ts";
import { compareWithGoal, type Goal } from "./mesh/goal.ts";
import { randomPrompt } from "./online/arrivals.ts";
import { CompletionClient } from "./online/completion_client.ts";
import { decodeTogether } from "./online/decode_together.ts";
import { measureInterference } from "./online/interference.ts";
import { type LevelStatistics, levelStatistics } from "./online/level_statistics.ts";
import { type OnlineTarget, openTarget } from "./online/online_target.ts";
import { measurePrefix } from "./online/prefix_pairs.ts";
import { SeededRandom } from "./online/seeded_random.ts";
import { Users } from "./online/users.ts";
import { togetherTokens, type Workload, workloadOf } from "./online/workload.ts";
import { type BenchOptions, OptionError } from "./options.ts";
import { Report } from "./report.ts";

/** What the measures share. */
interface OnlineRun {
  readonly client: CompletionClient;
  readonly target: OnlineTarget;
  readonly workload: Workload;
  readonly report: Report;
}

const MEASURES: Readonly<Record<string, (run: OnlineRun) => Promise<void>>> = {
  decode,
  load,
  prefix,
  interference,
};

const BATCH_GOAL: Goal = { atLeast: 8 };
/** The goal is for this many users, over one. */
const GOAL_USERS = 32;
const PREFIX_GOAL: Goal = { atMost: 0.15 };
const INTERFERENCE_GOAL: Goal = { atMost: 2 };

/** A measure takes no longer, but for levels, which have deadlines of their own. */
const DEADLINE_MS = 600_000;
const clock = systemClock;

/** Where streams of random numbers begin, beyond those of the users of a load. */
const STREAM = { warmUp: 10_000, decode: 20_000, prefix: 30_000, interference: 40_000 };

/** Prints one line for each number. `args` are the words of `options`, for the server's process. */
export async function benchOnline(
  options: BenchOptions,
  args: readonly string[],
): Promise<number> {
  const names = options.only ?? Object.keys(MEASURES);
  const unknown = names.find((name) => !Object.hasOwn(MEASURES, name));
  if (unknown !== undefined) {
    throw new OptionError(
      `There is no measure "${unknown}": use ${Object.keys(MEASURES).join(", ")}`,
    );
  }
  const target = await openTarget(options, args);
  try {
    const { model, adapter, isSoftware, isDeterministic } = target;
    const report = new Report({
      bench: "online",
      isJson: options.isJson,
      common: {
        ...{ model, ...(adapter !== null && { adapter, deterministic: isDeterministic }) },
        seed: options.seed,
        ...(isSoftware && { note: "software adapter: short prompts and outputs" }),
      },
    });
    if (target.startLine !== null) report.line({ measure: "start", ...target.startLine });
    const client = new CompletionClient(target, clock);
    const run = { client, target, workload: workloadOf(options, isSoftware), report };
    let hasFailed = false;
    for (const name of names) {
      try {
        await MEASURES[name]?.(run);
      } catch (error) {
        hasFailed = true;
        report.line({ measure: name, error: String(error) });
      }
    }
    return hasFailed ? 1 : 0;
  } finally {
    await target.close();
  }
}

/** All users decode at once: what a batch is worth. */
async function decode(run: OnlineRun): Promise<void> {
  const { client, target: { vocabSize, isSoftware }, workload, report } = run;
  const { promptTokens, outputTokens } = workload.load;
  let alone = NaN;
  for (const users of workload.users) {
    await warmUp(run, users);
    const random = new SeededRandom(workload.load.seed, STREAM.decode + users);
    const { answers, window } = await decodeTogether(client, {
      prompts: promptsOf(random, { users, length: promptTokens, vocabSize }),
      maxTokens: togetherTokens(workload, users),
      signal: AbortSignal.timeout(DEADLINE_MS),
      clock,
    });
    const { tokensPerS, interTokenMs, numFailed } = levelStatistics(answers, window);
    if (users === 1) alone = tokensPerS;
    report.line({
      ...{ measure: "decode", users, context: promptTokens, outputTokens },
      ...{ windowS: round((window.endMs - window.startMs) / 1000), failed: numFailed },
      ...{ itlP50Ms: round(interTokenMs.p50), itlP99Ms: round(interTokenMs.p99) },
      ...gain(tokensPerS, { users, alone, isSoftware }),
    });
  }
}

/** What a batch of this size needs for the first time, a few tokens each. */
async function warmUp({ client, target: { vocabSize } }: OnlineRun, users: number): Promise<void> {
  const random = new SeededRandom(users, STREAM.warmUp);
  const signal = AbortSignal.timeout(DEADLINE_MS);
  await Promise.all(
    promptsOf(random, { users, length: 2, vocabSize }).map((promptTokenIds) =>
      client.complete({ promptTokenIds, maxTokens: 4 }, { signal })
    ),
  );
}

function promptsOf(
  random: SeededRandom,
  { users, ...options }: {
    readonly users: number;
    readonly length: number;
    readonly vocabSize: number;
  },
): number[][] {
  return Array.from({ length: users }, () => randomPrompt(random, options));
}

/** Users who come and go. */
async function load(run: OnlineRun): Promise<void> {
  const { client, target, workload, report } = run;
  const { arrivals, promptTokens, outputTokens } = workload.load;
  let alone = NaN;
  for (const users of workload.users) {
    const { answers, window } = await new Users({
      ...{ client, clock, numUsers: users },
      load: { ...workload.load, vocabSize: target.vocabSize },
    }).observe(workload.windowMs);
    const statistics = levelStatistics(answers, window);
    if (users === 1) alone = statistics.tokensPerS;
    const { type, ...pace } = arrivals;
    report.line({
      ...{ measure: "load", users, arrivals: type, ...pace, promptTokens, outputTokens },
      ...{ windowS: round((window.endMs - window.startMs) / 1000) },
      ...lineOf(statistics),
      ...gain(statistics.tokensPerS, { users, alone, isSoftware: target.isSoftware }),
    });
    const failed = answers.find(({ outcome }) => outcome === "failed");
    if (failed) report.line({ measure: "load", users, error: failed.error });
  }
}

function lineOf(statistics: LevelStatistics) {
  const { numDone, numFailed, ttftMs, interTokenMs, tokensPerPiece } = statistics;
  return {
    ...{ done: numDone, failed: numFailed },
    ...{ ttftP50Ms: round(ttftMs.p50), ttftP99Ms: round(ttftMs.p99) },
    ...{ itlP50Ms: round(interTokenMs.p50), itlP99Ms: round(interTokenMs.p99) },
    ...(tokensPerPiece !== 1 && { tokensPerPiece: round(tokensPerPiece) }),
  };
}

/** Tokens a second, and how many times those of a single user. */
function gain(
  tokensPerS: number,
  { users, alone, isSoftware }: {
    readonly users: number;
    /** NaN where a single user was not measured. */
    readonly alone: number;
    readonly isSoftware: boolean;
  },
) {
  const ratio = tokensPerS / alone;
  // A CPU gains little from a batch: there is no goal for it.
  const hasGoal = users === GOAL_USERS && !isSoftware;
  return {
    tokensPerS: round(tokensPerS),
    ...(!Number.isNaN(alone) && {
      ratio: round(ratio),
      ...(hasGoal && compareWithGoal(ratio, BATCH_GOAL)),
    }),
  };
}

/** What a cached prefix saves. */
async function prefix({ client, target, workload, report }: OnlineRun): Promise<void> {
  const { prefixTokens, prefixPairs, load } = workload;
  const { coldMs, cachedMs, cachedTokens, coldCachedTokens } = await measurePrefix(client, {
    ...{ prefixTokens, numPairs: prefixPairs, vocabSize: target.vocabSize },
    random: new SeededRandom(load.seed, STREAM.prefix),
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  const share = cachedMs / coldMs;
  report.line({
    ...{ measure: "prefix", prefixTokens, pairs: prefixPairs },
    ...{ coldMs: round(coldMs), cachedMs: round(cachedMs), share: round(share) },
    ...compareWithGoal(share, PREFIX_GOAL),
    ...{ cachedTokens, coldCachedTokens },
  });
}

/** What a long prompt does to those who are reading. */
async function interference({ client, target, workload, report }: OnlineRun): Promise<void> {
  const { interference: load } = workload;
  const { before, during, amongMs, aloneMs, chunkMs } = await measureInterference(client, {
    ...{ load, clock, vocabSize: target.vocabSize },
    random: new SeededRandom(workload.load.seed, STREAM.interference),
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  const rise = (during.p99 - before.p99) / chunkMs;
  const { numStreams, promptTokens, longPromptTokens, chunkTokens, rounds } = load;
  report.line({
    ...{ measure: "interference", streams: numStreams, context: promptTokens },
    ...{ longPromptTokens, chunkTokens, rounds },
    ...{ beforeP50Ms: round(before.p50), beforeP99Ms: round(before.p99) },
    ...{ beforeMaxMs: round(before.max) },
    ...{ duringP50Ms: round(during.p50), duringP99Ms: round(during.p99) },
    ...{ duringMaxMs: round(during.max), chunkMs: round(chunkMs) },
    ...{ longAloneMs: round(aloneMs), longAmongMs: round(amongMs) },
    ...{ riseInChunks: round(rise), ...compareWithGoal(rise, INTERFERENCE_GOAL) },
  });
}
