import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { chooseWeights } from "../../src/weights/choose_weights.ts";
import { readHubEnvironment } from "../../src/weights/hub_environment.ts";
import {
  type HubModelSpec,
  type HubOptions,
  type HubTransport,
  openHubModel,
} from "../../src/weights/hub_model.ts";
import { MemoryStore } from "../../src/weights/memory_store.ts";
import { FAST_CLOCK } from "./fast_clock.ts";
import { type FileServer, startFileServer } from "./file_server.ts";
import { asBytes, CONFIG, ggufModel, safetensors, shardedRepo } from "./model_fixture.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const SPEC: HubModelSpec = { id: "org/name", revision: "main", file: null };
const TRANSPORT: HubTransport = { fetch, clock: FAST_CLOCK, maxAttempts: 1 };

let hub: FileServer;
let cache: MemoryStore;
beforeEach(async () => {
  hub = await startFileServer();
  cache = new MemoryStore();
});
afterEach(() => hub.close());

function options(extra: Partial<HubOptions> = {}): HubOptions {
  return { endpoint: hub.url, isOffline: false, cache, ...extra };
}

/** Puts a repository on the hub. Files above 100 bytes are large files with a hash. */
function publish(files: Record<string, Uint8Array>, { revision = "main" } = {}): void {
  const siblings = Object.entries(files).map(([rfilename, bytes]) => ({
    rfilename,
    size: bytes.length,
    ...(bytes.length > 100
      ? { lfs: { sha256: createHash("sha256").update(bytes).digest("hex"), size: bytes.length } }
      : {}),
  }));
  hub.files.set(`/api/models/org/name/revision/${encodeURIComponent(revision)}?blobs=true`, {
    bytes: asBytes(JSON.stringify({ sha: COMMIT, siblings })),
  });
  for (const [name, bytes] of Object.entries(files)) {
    hub.files.set(`/org/name/resolve/${COMMIT}/${name}`, { bytes });
  }
}

test("a repository lands in the Hugging Face cache, and the next start asks nobody", async () => {
  publish(shardedRepo());
  const first = await openHubModel(SPEC, options(), TRANSPORT);
  expect(first.name).toBe("org/name");
  expect([...first.tensors.keys()]).toEqual(["model.embed_tokens.weight", "model.norm.weight"]);
  expect(await cache.list("")).toEqual([
    "models--org--name/refs/main",
    ...[
      "config.json",
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
      "model.safetensors.index.json",
      "tokenizer.json",
    ].map((name) => `models--org--name/snapshots/${COMMIT}/${name}`),
  ]);
  hub.requests.length = 0;
  const second = await openHubModel(SPEC, options(), TRANSPORT);
  expect(hub.requests).toEqual([]);
  expect(await second.readText("tokenizer.json")).toBe("{}");
});

test("a snapshot by huggingface_hub that lacks a shard is completed", async () => {
  const repo = shardedRepo();
  publish(repo);
  const prefix = `models--org--name/snapshots/${COMMIT}/`;
  await cache.write("models--org--name/refs/main", asBytes(`${COMMIT}\n`), 0);
  for (const [name, bytes] of Object.entries(repo)) {
    if (!name.includes("00002-of")) await cache.write(prefix + name, bytes, 0);
  }
  const model = await openHubModel(SPEC, options(), TRANSPORT);
  expect(model.tensors.size).toBe(2);
  expect(hub.requests.map((request) => request.split("/").at(-1))).toEqual([
    "main?blobs=true -",
    "model-00002-of-00002.safetensors bytes=0-",
  ]);
});

test("an interrupted download goes on at the next start", async () => {
  const weights = safetensors(Array.from({ length: 4000 }, (_, i) => `tensor.${i}`));
  publish({ "config.json": asBytes(JSON.stringify(CONFIG)), "model.safetensors": weights });
  const path = `/org/name/resolve/${COMMIT}/model.safetensors`;
  hub.files.set(path, { bytes: weights, cuts: [200_000] });
  await expect(openHubModel(SPEC, options(), TRANSPORT)).rejects.toThrow("run again to go on");
  hub.requests.length = 0;
  const model = await openHubModel(SPEC, options(), TRANSPORT);
  expect(model.tensors.size).toBe(4000);
  expect(hub.requests.at(-1)).toMatch(/model.safetensors bytes=[1-9]\d+-$/);
});

test("a file with the wrong hash is refused", async () => {
  publish({ "model.gguf": ggufModel() });
  hub.files.set(`/org/name/resolve/${COMMIT}/model.gguf`, {
    bytes: ggufModel().fill(0, 200, 300),
  });
  await expect(openHubModel(SPEC, options(), TRANSPORT)).rejects.toThrow("arrived damaged");
  expect(await cache.list("")).toEqual([]);
});

test("a revision and a file can be chosen, and the token is sent", async () => {
  publish({ "sub/a.Q8_0.gguf": ggufModel(), "b.Q4_0.gguf": ggufModel() }, { revision: "v1/x" });
  const spec = { ...SPEC, revision: "v1/x", file: "sub/a.Q8_0.gguf" };
  const model = await openHubModel(spec, options({ token: "hf_test" }), TRANSPORT);
  expect(model.name).toBe("org/name:sub/a.Q8_0.gguf");
  expect(hub.authorizations).toEqual(["Bearer hf_test", "Bearer hf_test"]);
  expect(await cache.list("models--org--name/refs/")).toEqual(["models--org--name/refs/v1/x"]);
});

describe("a hub's refusal names the fix:", () => {
  const LISTING = "/api/models/org/name/revision/main?blobs=true";
  test.each([
    [401, "", /not on the hub, or is private: check the spelling.*set HF_TOKEN/],
    [404, "", /not on the hub, or is private/],
    [404, "RevisionNotFound", /has no revision "main"/],
    [401, "GatedRepo", /accept its terms.*set HF_TOKEN/],
    [403, "", /accept its terms/],
    [500, "", /answered 500.*try again later/],
  ])("%i %s", async (status, errorCode, message) => {
    hub.files.set(LISTING, { bytes: new Uint8Array(0), statuses: [status], errorCode });
    const failure = await openHubModel(SPEC, options(), TRANSPORT).catch((error) => error);
    expect(failure).toMatchObject({ name: "HubError", status });
    expect(failure.message).toMatch(message);
  });

  test("out of reach", async () => {
    await hub.close();
    const failure = await openHubModel(SPEC, options(), TRANSPORT).catch((error) => error);
    expect(failure).toMatchObject({ name: "HubError", status: null });
    expect(failure.message).toMatch(/Cannot reach.*check the connection, set HF_ENDPOINT/);
    hub = await startFileServer();
  });

  test("offline by choice", async () => {
    await expect(openHubModel(SPEC, options({ isOffline: true }), TRANSPORT))
      .rejects.toThrow("unset HF_HUB_OFFLINE");
    expect(hub.requests).toEqual([]);
  });

  test("an answer that is no listing", async () => {
    hub.files.set(LISTING, { bytes: asBytes('{"hello":1}') });
    await expect(openHubModel(SPEC, options(), TRANSPORT)).rejects.toThrow("is it a hub?");
  });

  test("a repository without weights", async () => {
    publish({ "config.json": asBytes("{}"), "part-00001-of-00002.gguf": ggufModel() });
    await expect(openHubModel(SPEC, options(), TRANSPORT))
      .rejects.toThrow("neither config.json with safetensors nor a whole .gguf file");
    await expect(openHubModel({ ...SPEC, file: "x.gguf" }, options(), TRANSPORT))
      .rejects.toThrow('has no file "x.gguf"; its .gguf files are part-00001-of-00002.gguf');
  });

  test("a listing whose file lies outside the repository", async () => {
    publish({ "../../../evil.gguf": ggufModel() });
    await expect(openHubModel(SPEC, options(), TRANSPORT)).rejects.toThrow();
    expect(await cache.list("")).toEqual([]);
  });
});

test("chooseWeights() prefers safetensors with a config, then small good GGUFs", () => {
  const ggufs = ["m.F16.gguf", "m-Q8_0.gguf", "m.q4_k_m.gguf", "mmproj-Q4_K_M.gguf", "m.IQ2.gguf"];
  expect(chooseWeights(["config.json", "model.safetensors", ...ggufs], null))
    .toEqual({ type: "single" });
  expect(chooseWeights(["model.safetensors", ...ggufs], null))
    .toEqual({ type: "gguf", file: "m.q4_k_m.gguf" });
  expect(chooseWeights(["m.IQ2.gguf"], null)).toEqual({ type: "gguf", file: "m.IQ2.gguf" });
  expect(chooseWeights(["config.json"], null)).toBeNull();
});

test("readHubEnvironment() follows the variables of Hugging Face's own tools", () => {
  expect(readHubEnvironment({ HOME: "/home/me" })).toEqual({
    endpoint: "https://huggingface.co",
    token: null,
    isOffline: false,
    cachePath: "/home/me/.cache/huggingface/hub",
  });
  expect(readHubEnvironment({
    HOME: "/home/me",
    HF_ENDPOINT: "https://mirror.example/",
    HF_TOKEN: " hf_x ",
    HF_HUB_OFFLINE: "1",
    HF_HOME: "/data/hf",
  })).toEqual({
    endpoint: "https://mirror.example",
    token: "hf_x",
    isOffline: true,
    cachePath: "/data/hf/hub",
  });
  expect(readHubEnvironment({ HOME: "/h", HF_HOME: "/data", HF_HUB_CACHE: "~/c" }).cachePath)
    .toBe("/h/c");
});
