import { expect, test } from "vitest";
import { until } from "./clocks.ts";
import { endless, events, fakeServer, pieces, post } from "./fakes.ts";

const CHAT = "/v1/chat/completions";
const messages = [{ role: "user", content: "Hi" }];

function get(server: { fetch(request: Request): Promise<Response> }, path: string, method = "GET") {
  return server.fetch(new Request(`http://local${path}`, { method }));
}

test("the model is listed and found by id, alias and encoded id", async () => {
  const { server } = fakeServer(pieces([]));
  const list = await (await get(server, "/v1/models")).json();
  expect(list).toEqual({
    object: "list",
    data: [{
      id: "acme/tiny",
      object: "model",
      created: 1_700_000_000,
      owned_by: "tessera",
      max_model_len: 1000,
    }],
  });
  for (const id of ["acme/tiny", "acme%2Ftiny", "tiny"]) {
    expect(await (await get(server, `/v1/models/${id}`)).json()).toEqual(list.data[0]);
  }
  const missing = await get(server, "/v1/models/other");
  expect(missing.status).toBe(404);
  expect((await missing.json()).error).toMatchObject({ code: "model_not_found", param: "model" });
});

test("health tells how busy the engine is and version tells the version", async () => {
  const { server } = fakeServer(pieces([]));
  expect(await (await get(server, "/health")).json()).toEqual({
    status: "ok",
    model: "acme/tiny",
    num_running: 0,
    num_waiting: 0,
    num_free_blocks: 8,
    num_cached_blocks: 3,
    num_blocks: 9,
    num_prompt_tokens: 50,
    num_cached_prompt_tokens: 20,
    num_preemptions: 1,
  });
  expect(await (await get(server, "/version")).json()).toEqual({ version: "1.2.3" });
});

test("the root page says what to call", async () => {
  const { server } = fakeServer(pieces([]));
  const response = await get(server, "/");
  expect(response.status).toBe(200);
  expect(await response.text()).toContain("http://local/v1/chat/completions");
});

test("errors have OpenAI's shape and the right status", async () => {
  const { server, engine } = fakeServer(pieces([]), { maxWaiting: 2, maxBodyBytes: 1000 });
  const failure = async (response: Response) => {
    const { error } = await response.json();
    expect(Object.keys(error).sort()).toEqual(["code", "message", "param", "type"]);
    expect(response.headers.get("x-request-id")).toBeTruthy();
    expect(response.headers.get("access-control-allow-origin")).toBe("*");
    return [response.status, error.code];
  };
  expect(await failure(await get(server, "/v1/nothing"))).toEqual([404, "unknown_route"]);
  expect(await failure(await get(server, CHAT))).toEqual([405, "method_not_allowed"]);
  expect(await failure(await post(server, "/health", {}))).toEqual([405, "method_not_allowed"]);
  expect(await failure(await post(server, CHAT, "{"))).toEqual([400, "invalid_json"]);
  expect(await failure(await post(server, CHAT, ""))).toEqual([400, "invalid_json"]);
  expect(await failure(await post(server, CHAT, "[]"))).toEqual([400, "invalid_json"]);
  const notUtf8 = { body: new Uint8Array([0x7b, 0xff, 0x7d]) };
  expect(await failure(await post(server, CHAT, {}, notUtf8))).toEqual([400, "invalid_json"]);
  expect(await failure(await post(server, CHAT, "x".repeat(1001)))).toEqual([
    413,
    "body_too_large",
  ]);
  expect(await failure(await post(server, CHAT, { model: "other", messages })))
    .toEqual([404, "model_not_found"]);
  engine.numWaiting = 2;
  expect(await failure(await post(server, CHAT, { messages }))).toEqual([429, "queue_full"]);
});

test("a body that grows past the limit is not read to its end", async () => {
  const { server } = fakeServer(pieces([]), { maxBodyBytes: 1000 });
  let numChunks = 0;
  const body = new ReadableStream({
    pull: (controller) => {
      numChunks += 1;
      controller.enqueue(new Uint8Array(100).fill(0x20));
    },
  });
  const init = { method: "POST", body, duplex: "half" };
  const response = await server.fetch(new Request(`http://local${CHAT}`, init as RequestInit));
  expect(response.status).toBe(413);
  expect(numChunks).toBeLessThan(15);
});

test("everything but /version and the lists waits for the model", async () => {
  let isReady = false;
  const { server } = fakeServer(pieces(["ok"]), { isReady: () => isReady });
  for (const response of [await get(server, "/health"), await post(server, CHAT, { messages })]) {
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("2");
    expect((await response.json()).error).toMatchObject({
      code: "not_ready",
      type: "server_error",
    });
  }
  expect((await get(server, "/v1/models")).status).toBe(200);
  isReady = true;
  expect((await post(server, CHAT, { messages })).status).toBe(200);
});

test("a preflight allows what OpenAI's clients send", async () => {
  const { server } = fakeServer(pieces([]));
  const headers = {
    origin: "https://app.example",
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-stainless-os",
  };
  const request = new Request(`http://local${CHAT}`, { method: "OPTIONS", headers });
  const response = await server.fetch(request);
  expect(response.status).toBe(204);
  expect(response.headers.get("access-control-allow-origin")).toBe("*");
  expect(response.headers.get("access-control-allow-headers")).toBe(
    headers["access-control-request-headers"],
  );
  expect(response.headers.get("access-control-allow-methods")).toContain("POST");
});

test("only listed origins may call when there is a list", async () => {
  const { server } = fakeServer(pieces([]), { corsOrigins: ["https://app.example"] });
  const allowed = async (origin: string) => {
    const response = await server.fetch(
      new Request("http://local/health", { headers: { origin } }),
    );
    return response.headers.get("access-control-allow-origin");
  };
  expect(await allowed("https://app.example")).toBe("https://app.example");
  expect(await allowed("https://evil.example")).toBe(null);
});

test("a client may name its request in the body or in the header", async () => {
  const { server } = fakeServer(pieces(["ok"]));
  const ids = async (body: object, header?: string) => {
    const headers: Record<string, string> = header === undefined ? {} : { "x-request-id": header };
    const response = await post(server, CHAT, { messages, ...body }, { headers });
    return [(await response.json()).id, response.headers.get("x-request-id")];
  };
  expect(await ids({ request_id: "mine" })).toEqual(["mine", "mine"]);
  expect(await ids({}, "header")).toEqual(["header", "header"]);
  expect(await ids({ request_id: "mine" }, "header")).toEqual(["mine", "mine"]);
  expect((await ids({}, "not an id"))[0]).toMatch(/^chatcmpl-/);
});

test("stop_request ends a stream with what it has", async () => {
  const { server, engine } = fakeServer(endless());
  const response = await post(server, CHAT, { messages, stream: true, request_id: "r1" });
  const streamed = events(response);
  await until(() => (engine.calls[0]?.numEvents ?? 0) > 3);
  const stopped = await post(server, "/v1/stop_request", { request_id: "r1" });
  expect([stopped.status, await stopped.json()]).toEqual([200, {
    request_id: "r1",
    stopped: true,
  }]);
  const parts = await streamed;
  expect(parts.length).toBeGreaterThan(5);
  expect(parts.at(-2)).toMatchObject({ choices: [{ finish_reason: "stop" }] });
  expect(parts.at(-1)).toBe("[DONE]");
  await until(() => engine.numOpen === 0);
});

test("stop_request ends every choice of an answer that is not streamed", async () => {
  const { server, engine } = fakeServer(endless("la"));
  const answer = post(server, CHAT, { messages, n: 2, request_id: "r1", stop: "lax" });
  await until(() => engine.calls.length === 2 && engine.calls.every((call) => call.numEvents > 3));
  await post(server, "/v1/stop_request", { request_id: "r1" });
  const body = await (await answer).json();
  for (const { message, finish_reason } of body.choices) {
    expect(message.content).toMatch(/^(la){3,}$/);
    expect(finish_reason).toBe("stop");
  }
  await until(() => engine.numOpen === 0);
});

test("stop_request of an id that does not run is a 404", async () => {
  const { server } = fakeServer(pieces(["ok"]));
  await (await post(server, CHAT, { messages, request_id: "r1" })).json();
  for (const [body, status] of [[{ request_id: "r1" }, 404], [{}, 400]] as const) {
    const response = await post(server, "/v1/stop_request", body);
    expect(response.status).toBe(status);
    expect((await response.json()).error.param).toBe("request_id");
  }
});

test("an id can be used again only when its completion is over", async () => {
  const { server, engine } = fakeServer(endless());
  const first = post(server, CHAT, { messages, request_id: "r1" });
  await until(() => engine.calls.length === 1);
  const second = await post(server, CHAT, { messages, request_id: "r1" });
  expect([second.status, (await second.json()).error.code]).toEqual([409, "request_id_in_use"]);
  await post(server, "/v1/stop_request", { request_id: "r1" });
  expect((await first).status).toBe(200);
  engine.script = pieces(["ok"]);
  expect((await post(server, CHAT, { messages, request_id: "r1" })).status).toBe(200);
});
