/**
 * Golden cases on the GPUs of three other processes, over WebRTC.
 */
import { afterAll, expect, test } from "vitest";
import { openVerifyMesh } from "../src/cli/verify_mesh.ts";
import { openGoldenCase } from "../src/golden.ts";
import { defaultTuning } from "../src/kernels/tuning.ts";
import { FileStore } from "../src/platform/file_store.ts";
import { systemClock } from "../src/platform/system.ts";
import { localTarget, logitsOf, verifyCase, type VerifyTarget } from "../src/verify.ts";
import { openTestGpu } from "./kernels/gpu.ts";

const TOLERANCE = 2e-3;
const DEADLINE_MS = 120_000;

const { context } = await openTestGpu();
const tuning = defaultTuning(context.capabilities, { isDeterministic: true, useF16Kv: false });
const here = localTarget({ context, tuning, numStages: 1 });
const mesh = await openVerifyMesh(3, { backend: "auto", kv: "f32", deterministic: true });
afterAll(() => mesh.close());

for (const name of ["llama-rope3-tied", "qwen3"]) {
  test(
    `${name} on three peers has the tokens of transformers and the error of one machine`,
    async () => {
      const check = (target: VerifyTarget) =>
        verifyCase(name, { target, tolerance: TOLERANCE, clock: systemClock }, () => golden(name));
      const report = await check(mesh);
      expect(report).toMatchObject({ ok: true, greedyMatch: true, stages: 3, peers: 3 });
      expect(report).toMatchObject({ maxHiddenError: null, hiddenErrors: null, fault: null });
      expect(report.adapter).toBe(context.capabilities.adapterName);
      expect(report.maxAbsError).toBe((await check(here)).maxAbsError);
    },
    DEADLINE_MS,
  );
}

test("three peers give the bits of one machine", async () => {
  const [there, alone] = [await bits(mesh), await bits(here)];
  expect(there.some((value) => value !== 0)).toBe(true);
  expect(there).toEqual(alone);
}, DEADLINE_MS);

test("a model that peers cannot read fails with the reason, and the next one runs", async () => {
  const report = await verifyCase("broken", {
    target: mesh,
    tolerance: TOLERANCE,
    clock: systemClock,
  }, async () => {
    const { source, inputs } = await golden("llama");
    return { inputs, source: { ...source, hfConfig: source.hfConfig, fileOf: () => null } };
  });
  expect(report).toMatchObject({ ok: false, maxAbsError: null, peers: 3 });
  expect(report.error).toContain("lies in no file, so peers cannot read it");
  expect(await bits(mesh)).toEqual(await bits(here));
}, DEADLINE_MS);

function golden(name: string) {
  return openGoldenCase(new FileStore(`tests/golden/${name}`), name);
}

async function bits(target: VerifyTarget): Promise<Uint32Array> {
  const { source, inputs } = await golden("llama");
  const inputIds = inputs[1]!.inputIds;
  const { pipeline, close } = await target.open(source, {
    numBlocks: 4,
    maxModelLength: 64,
    maxBatchTokens: 64,
    maxSequences: 1,
    numSavedStates: 0,
    maxSamples: 64,
  });
  const logits = await logitsOf(pipeline, inputIds);
  close();
  await source.close();
  return new Uint32Array(logits.buffer, logits.byteOffset, logits.length);
}
