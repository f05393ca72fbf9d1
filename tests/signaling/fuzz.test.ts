import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { runProgram } from "../platform/run_program.ts";
import type { FuzzReport } from "./fuzz.ts";

it("10^6 malformed frames: no exception, and at most 10 MiB more on the heap", async () => {
  const path = fileURLToPath(new URL("fuzz.ts", import.meta.url));
  const { code, stdout, stderr } = await runProgram(
    [Deno.execPath(), "run", "-A", "--v8-flags=--expose-gc", path, "1000000"],
    { deadlineMs: 100_000 },
  );
  expect(stderr).toBe("");
  expect(code).toBe(0);
  const report: FuzzReport = JSON.parse(stdout);
  expect(report).toMatchObject({ numRefused: 1_000_000, numExceptions: 0 });
  expect(report.heapGrowthBytes).toBeLessThanOrEqual(10 * 1024 * 1024);
  const { malformed, frame, topic, topics } = report.refused;
  expect(malformed).toBeGreaterThan(900_000);
  expect(Math.min(frame!, topic!, topics!)).toBeGreaterThan(0);
});
