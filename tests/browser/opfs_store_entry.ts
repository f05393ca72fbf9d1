/** Runs in a Worker, bundled: does what the test's RemoteStore asks for, on an OpfsStore. */
import { OpfsStore } from "../../src/platform/opfs_store.ts";
import { type StoreAnswer, type StoreCall, toBytes, toText } from "./store_call.ts";

const stores = new Map<string, OpfsStore>();
/** The address of the page's server and of the one that asks. */
const { pageUrl, callsUrl } = await new Promise<{ pageUrl: string; callsUrl: string }>(
  (resolve) => {
    globalThis.addEventListener("message", ({ data }) => resolve(data), { once: true });
  },
);

for (;;) {
  const call = await (await fetch(`${callsUrl}/next`)).json() as StoreCall;
  if (call.method === "end") break;
  const answer = await run(call);
  await fetch(`${callsUrl}/answer`, { method: "POST", body: JSON.stringify(answer) });
}
await fetch(`${pageUrl}/report`, { method: "POST", body: "{}" });

async function run(call: StoreCall): Promise<StoreAnswer> {
  try {
    return { value: await resultOf(call) };
  } catch (error) {
    const { name, message } = error as Error;
    return { problem: { name, message } };
  }
}

async function resultOf({ store: name, method, args }: StoreCall): Promise<unknown> {
  // "folder#2" is another store of the same folder, as another tab has one.
  const store = stores.get(name) ?? await OpfsStore.open(name.split("#")[0]!);
  stores.set(name, store);
  const [key = "", more] = args as [string, unknown];
  switch (method) {
    case "size":
      return await store.size(key);
    case "read":
      return toText(await store.read(key, more as { start: number; end: number }));
    case "write":
      return await store.write(key, toBytes(more as string), args[2] as number);
    case "rename":
      return await store.rename(key, more as string);
    case "remove":
      return await store.remove(key);
    case "list":
      return await store.list(key);
    case "release":
      return await store.release();
    default:
      delete (FileSystemFileHandle.prototype as { move?: unknown }).move;
  }
}
