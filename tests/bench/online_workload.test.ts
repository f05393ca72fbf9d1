import { describe, expect, test } from "vitest";
import { UserRequests } from "../../bench/online/arrivals.ts";
import { streamTokens } from "../../bench/online/interference.ts";
import { pairLength } from "../../bench/online/prefix_pairs.ts";
import { capacityFor, togetherTokens, workloadOf } from "../../bench/online/workload.ts";
import { OptionError, parseOptions } from "../../bench/options.ts";

describe.each([true, false])("workloadOf(), software adapter: %s", (isSoftware) => {
  test.each([[[]], [["--users", "1"]], [["--users", "64", "--prompt", "700", "--chunk", "32"]]])(
    "a server with its capacity has room for %j",
    (args) => {
      const workload = workloadOf(parseOptions(args), isSoftware);
      const { users, load, interference, prefixTokens, chunkTokens } = workload;
      const { maxModelLength, kvTokens, maxBatchTokens, maxSequences } = capacityFor(workload);
      const most = Math.max(...users);
      const drawn = Array.from({ length: most }, (_, user) => {
        const requests = new UserRequests({ ...load, vocabSize: 1000 }, user);
        const { promptTokenIds, maxTokens } = (requests.next(), requests.next());
        return promptTokenIds.length + maxTokens;
      });
      const together = load.promptTokens + togetherTokens(workload, most);
      const stream = load.promptTokens + streamTokens(interference);
      const long = interference.longPromptTokens + 1;
      for (const length of [...drawn, together, stream, long, pairLength(prefixTokens) + 1]) {
        expect(length).toBeLessThanOrEqual(maxModelLength);
      }
      const { numStreams } = interference;
      const block = (tokens: number) => 16 * (Math.ceil(tokens / 16) + 1);
      if (load.promptTokens >= 512) {
        expect(most * block(together)).toBeLessThanOrEqual(kvTokens);
        expect(numStreams * block(stream) + block(long)).toBeLessThanOrEqual(kvTokens);
      }
      expect(Math.max(most, numStreams + 1)).toBeLessThanOrEqual(maxSequences);
      expect(maxSequences).toBeLessThanOrEqual(maxBatchTokens);
      expect(maxBatchTokens).toBe(chunkTokens);
    },
  );
});

test("the issue's lengths are the defaults on hardware", () => {
  expect(workloadOf(parseOptions([]), false)).toMatchObject({
    users: [1, 4, 16, 32],
    load: { seed: 0, promptTokens: 512, outputTokens: 128 },
    prefixTokens: 2048,
    interference: { numStreams: 8, longPromptTokens: 4096 },
  });
});

describe("options of the online bench", () => {
  test("a rate makes arrivals Poisson, a pause closes the loop", () => {
    const arrivals = (...args: string[]) => workloadOf(parseOptions(args), false).load.arrivals;
    expect(arrivals()).toEqual({ type: "closed", thinkMs: 100 });
    expect(arrivals("--think-ms", "0")).toEqual({ type: "closed", thinkMs: 0 });
    expect(arrivals("--rate", "0.5")).toEqual({ type: "poisson", perUserPerS: 0.5 });
  });

  test.each(["http://a:1", "http://a:1/", "http://a:1/v1", "http://a:1/v1/"])(
    "%s is the server at http://a:1",
    (url) => expect(parseOptions(["--url", url]).url).toBe("http://a:1"),
  );

  test.each([
    [["--rate", "0"], /"--rate" takes a number above 0/],
    [["--users", "1,x"], /"--users" takes integers/],
    [["--seed", "-1"], /--seed/],
  ])("refuses %j", (args, message) => {
    expect(() => parseOptions(args)).toThrow(OptionError);
    expect(() => parseOptions(args)).toThrow(message);
  });
});
