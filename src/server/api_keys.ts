import type { Clock } from "../platform/platform.ts";
import { HttpError } from "./errors.ts";

/** Wrong keys that one address may try in a window. */
const MAX_WRONG = 10;
const WINDOW_MS = 60_000;
/** Addresses remembered at once; the oldest are forgotten first. */
const MAX_ADDRESSES = 4096;

/** One address's wrong tries since `startMs`. */
interface Window {
  readonly startMs: number;
  numWrong: number;
}

/** The keys that requests must show one of, and who guessed wrong lately. */
export class ApiKeys {
  readonly #keys: Promise<readonly Uint8Array[]>;
  readonly #clock: Clock;
  readonly #windows = new Map<string, Window>();

  /** Throws a RangeError for an empty key. */
  constructor(keys: readonly string[], clock: Clock) {
    if (keys.some((key) => key.trim() === "")) {
      throw new RangeError("An API key is empty: give each --api-key a value");
    }
    this.#keys = Promise.all(keys.map(digest));
    this.#clock = clock;
  }

  /**
   * Which of the keys a request shows. Throws a 401 without a right `Authorization: Bearer`, a 429
   * after too many wrong ones.
   */
  async require(authorization: string | null, remoteAddress: string): Promise<number> {
    this.#requireFewWrong(remoteAddress);
    const key = /^Bearer +(\S.*)$/i.exec(authorization ?? "")?.[1]?.trim();
    if (key === undefined) {
      throw unauthorized("This server needs an API key: send it as Authorization: Bearer KEY");
    }
    const index = await this.#indexOf(key);
    if (index >= 0) return index;
    this.#countWrong(remoteAddress);
    throw unauthorized("The API key is wrong: send one that the server was started with");
  }

  /** -1 for a wrong one. Takes the same time for every key. */
  async #indexOf(key: string): Promise<number> {
    const [shown, known] = await Promise.all([digest(key), this.#keys]);
    const matches = known.map((digest) => isSame(digest, shown));
    return matches.indexOf(true);
  }

  #requireFewWrong(remoteAddress: string): void {
    const window = this.#windows.get(remoteAddress);
    const leftMs = (window?.startMs ?? 0) + WINDOW_MS - this.#clock.now();
    if (window === undefined || window.numWrong < MAX_WRONG || leftMs <= 0) return;
    throw new HttpError(429, `Too many wrong API keys: try again in ${seconds(leftMs)} s`, {
      code: "too_many_wrong_keys",
      headers: { "retry-after": seconds(leftMs) },
    });
  }

  #countWrong(remoteAddress: string): void {
    const startMs = this.#clock.now();
    const window = this.#windows.get(remoteAddress);
    if (window !== undefined && startMs - window.startMs < WINDOW_MS) {
      window.numWrong++;
      return;
    }
    this.#windows.delete(remoteAddress);
    this.#windows.set(remoteAddress, { startMs, numWrong: 1 });
    const [oldest] = this.#windows.keys();
    if (this.#windows.size > MAX_ADDRESSES && oldest !== undefined) this.#windows.delete(oldest);
  }
}

/** Digests have one length, so that comparing tells nothing of a key's. */
async function digest(key: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key)));
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.reduce((difference, byte, index) => difference | (byte ^ (b[index] ?? 0)), 0) === 0;
}

function seconds(ms: number): string {
  return String(Math.ceil(ms / 1000));
}

function unauthorized(message: string): HttpError {
  return new HttpError(401, message, {
    code: "invalid_api_key",
    headers: { "www-authenticate": "Bearer" },
  });
}
