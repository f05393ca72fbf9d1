/** How requests become clients, priorities, salts and deadlines of the engine. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { ServerOptions } from "../../src/server/options.ts";
import { fakeServer, pieces, post } from "./fakes.ts";

const KEYS = ["sk-ann", "sk-bob"];
const messages = [{ role: "user", content: "Hi" }];
const withKeys = { access: { ownOrigins: () => [], isLoopback: false, apiKeys: KEYS } };

test("a key is a client, and without keys an address is; what a request says of its user is not", async () => {
  const ask = termsServer(withKeys);
  const clientId = async (...args: Parameters<typeof ask>) => (await ask(...args)).clientId;
  const ann = await clientId({}, { authorization: "Bearer sk-ann" }, "10.0.0.1");
  const annElsewhere = { user: "other" };
  expect(await clientId(annElsewhere, { authorization: "Bearer sk-ann" }, "10.0.0.2")).toBe(ann);
  expect(await clientId({}, { authorization: "Bearer sk-bob" }, "10.0.0.1")).not.toBe(ann);
  expect(ann).not.toContain("sk-ann");

  const open = termsServer();
  const here = (await open({}, {}, "10.0.0.1")).clientId;
  const withAnyKey = { authorization: "Bearer any" };
  expect((await open({ user: "other" }, withAnyKey, "10.0.0.1")).clientId).toBe(here);
  expect((await open({}, {}, "10.0.0.2")).clientId).not.toBe(here);
});

test.each([
  ["interactive", {}, {}],
  ["interactive", { priority: "interactive" }, {}],
  ["batch", { priority: "batch" }, {}],
  ["interactive", { priority: -3 }, {}],
  ["interactive", { priority: 0 }, {}],
  ["batch", { priority: 1 }, {}],
  ["batch", { service_tier: "flex" }, {}],
  ["interactive", { service_tier: "auto" }, {}],
  ["interactive", { service_tier: "default" }, {}],
  ["interactive", { service_tier: "priority" }, {}],
  ["interactive", { priority: null, service_tier: null }, {}],
  ["batch", {}, { "x-priority": "batch" }],
  ["batch", {}, { "x-priority": "7" }],
  ["interactive", {}, { "x-priority": "-7" }],
  ["interactive", { service_tier: "flex" }, { "x-priority": "interactive" }],
  ["batch", { priority: "batch" }, { "x-priority": "interactive" }],
  ["interactive", { priority: 0, service_tier: "flex" }, {}],
])("priority is %s for %j and headers %j", async (priority, fields, headers) => {
  expect((await termsServer()(fields, headers)).priority).toBe(priority);
});

test.each(["urgent", "", "1.5", "Batch", "1e3"])(
  "an X-Priority of '%s' is a 400 that names it",
  async (header) => {
    const { server, engine } = fakeServer(pieces(["ok"]));
    const headers = { "x-priority": header };
    const response = await post(server, "/v1/chat/completions", { messages }, { headers });
    expect([response.status, (await response.json()).error.param]).toEqual([400, "x-priority"]);
    expect(engine.calls).toHaveLength(0);
  },
);

test("salts are equal only for the same key and the same salt, whatever a client sends", async () => {
  const ask = termsServer(withKeys);
  const saltOf = async (key: string, salt: string | null) =>
    (await ask({ cache_salt: salt }, { authorization: `Bearer ${key}` })).cacheSalt!;
  const annsOwn = await saltOf("sk-ann", null);
  const text = fc.oneof(
    fc.string({ minLength: 1, maxLength: 256, unit: "binary" }),
    // What could be mistaken for a whole salt of another key.
    fc.constantFrom(annsOwn, "0,null]", '0","', '",0', "null", "[0,null]", "0"),
  );
  const salt = fc.option(text, { nil: null });
  const sender = fc.tuple(fc.constantFrom(...KEYS), salt);
  await fc.assert(
    fc.asyncProperty(sender, sender, async (a, b) => {
      const isSame = a[0] === b[0] && a[1] === b[1];
      expect(await saltOf(...a) === await saltOf(...b)).toBe(isSame);
    }),
    { numRuns: 200 },
  );
});

test("salts know nothing of keys where prefixes are shared", async () => {
  const ask = termsServer({ ...withKeys, sharePrefixCache: true });
  const saltOf = async (key: string, fields: object) =>
    (await ask(fields, { authorization: `Bearer ${key}` })).cacheSalt;
  expect(await saltOf("sk-ann", {})).toBe(await saltOf("sk-bob", {}));
  const salted = await saltOf("sk-ann", { cache_salt: "s" });
  expect(await saltOf("sk-bob", { cache_salt: "s" })).toBe(salted);
  expect(await saltOf("sk-bob", {})).not.toBe(salted);
});

test("a request has 10 minutes unless it or the server says otherwise", async () => {
  const timeoutMs = async (fields: object, options?: Partial<ServerOptions>) =>
    (await termsServer(options)(fields)).timeoutMs;
  expect(await timeoutMs({})).toBe(600_000);
  expect(await timeoutMs({ timeout: 1.5 })).toBe(1500);
  expect(await timeoutMs({ timeout: 600 })).toBe(600_000);
  expect(await timeoutMs({}, { requestTimeoutMs: 5000 })).toBe(5000);
  expect(await timeoutMs({}, { requestTimeoutMs: null })).toBe(undefined);
  expect(await timeoutMs({ timeout: 3600 }, { requestTimeoutMs: null })).toBe(3_600_000);
});

/** What the engine is given beside prompt and sampling. */
function termsServer(options: Partial<ServerOptions> = {}) {
  const { server, engine } = fakeServer(pieces(["ok"]), options);
  return async (
    fields: object,
    headers: Record<string, string> = {},
    remoteAddress = "10.0.0.9",
  ) => {
    const init = { headers, remoteAddress };
    const response = await post(server, "/v1/chat/completions", { messages, ...fields }, init);
    if (response.status !== 200) throw new Error(await response.text());
    return engine.calls.at(-1)!.terms;
  };
}
