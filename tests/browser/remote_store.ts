import type { Store } from "../../src/platform/platform.ts";
import { type StoreAnswer, type StoreCall, toBytes, toText } from "./store_call.ts";

const HEADERS = { "access-control-allow-origin": "*" };

/** Hands calls to a Worker that asks for them, one after another. */
export class StoreCalls {
  readonly url: string;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #waiting: { call: StoreCall; resolve: (answer: StoreAnswer) => void }[] = [];
  #asked: ((response: Response) => void) | null = null;

  constructor() {
    const options = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
    this.#server = Deno.serve(options, (request) => this.#serve(request));
    this.url = `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** What the call returns. Throws what it throws; of errors only RangeErrors keep their class. */
  async call(call: StoreCall): Promise<unknown> {
    const { value, problem } = await this.#send(call);
    if (problem === undefined) return value;
    const { name, message } = problem;
    throw name === "RangeError" ? new RangeError(message) : new Error(`${name}: ${message}`);
  }

  /** Ends the Worker's loop; there is no answer. */
  end(): void {
    void this.#send({ store: "", method: "end", args: [] });
  }

  /** After the Worker has ended. */
  close(): Promise<void> {
    return this.#server.shutdown();
  }

  #send(call: StoreCall): Promise<StoreAnswer> {
    const { promise, resolve } = Promise.withResolvers<StoreAnswer>();
    this.#waiting.push({ call, resolve });
    this.#hand();
    return promise;
  }

  async #serve(request: Request): Promise<Response> {
    if (new URL(request.url).pathname === "/answer") {
      const answer = await request.json() as StoreAnswer;
      this.#waiting.shift()?.resolve(answer);
      return new Response(null, { status: 204, headers: HEADERS });
    }
    const { promise, resolve } = Promise.withResolvers<Response>();
    this.#asked = resolve;
    this.#hand();
    return await promise;
  }

  #hand(): void {
    const [next] = this.#waiting;
    if (next === undefined || this.#asked === null) return;
    this.#asked(new Response(JSON.stringify(next.call), { headers: HEADERS }));
    this.#asked = null;
  }
}

/** A store of the page's origin, by its name. */
export class RemoteStore implements Store {
  readonly #calls: StoreCalls;
  readonly #name: string;

  constructor(calls: StoreCalls, name: string) {
    this.#calls = calls;
    this.#name = name;
  }

  async size(key: string): Promise<number | null> {
    return await this.#call("size", key) as number | null;
  }

  async read(key: string, range: { start: number; end: number }): Promise<Uint8Array> {
    return toBytes(await this.#call("read", key, range) as string);
  }

  async write(key: string, bytes: Uint8Array, offset: number): Promise<void> {
    await this.#call("write", key, toText(bytes), offset);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#call("rename", from, to);
  }

  async remove(key: string): Promise<void> {
    await this.#call("remove", key);
  }

  async list(prefix: string): Promise<readonly string[]> {
    return await this.#call("list", prefix) as string[];
  }

  async release(): Promise<void> {
    await this.#call("release");
  }

  /** From now on, the browser is one that cannot move files. */
  async forgetMove(): Promise<void> {
    await this.#call("forgetMove");
  }

  #call(method: StoreCall["method"], ...args: unknown[]): Promise<unknown> {
    return this.#calls.call({ store: this.#name, method, args });
  }
}
