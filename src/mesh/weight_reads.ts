/**
 * Bytes of a model's files over a link: asked for by "read", answered by one "weights" frame.
 *
 * @module
 */
import type { Clock } from "../platform/platform.ts";
import { clipReason, type PeerControl } from "./control.ts";
import type { PeerLink } from "./peer_link.ts";

/** Bytes [start, end) of a file. */
export interface FileRange {
  readonly start: number;
  readonly end: number;
}

/** Largest range of one read; larger ones are refused. */
export const MAX_READ_BYTES = 8 << 20;

/** Reads fail when none of them was answered for this long. */
const READ_DEADLINE_MS = 60_000;
/** Reads of one peer that are served at once; the others wait their turn. */
const MAX_READS_AT_ONCE = 2;
const MAX_READS_WAITING = 64;

/** The coordinator could not or would not read; the message says why. */
export class WeightReadError extends Error {
  override readonly name = "WeightReadError";
}

interface PendingRead {
  resolve(bytes: Uint8Array): void;
  reject(error: Error): void;
}

/** The asking side, on a peer. */
export class WeightReads {
  readonly #link: PeerLink;
  readonly #clock: Clock;
  readonly #pending = new Map<number, PendingRead>();
  #lastId = 0;
  #lastAnswerMs = -Infinity;

  constructor(link: PeerLink, clock: Clock) {
    this.#link = link;
    this.#clock = clock;
    link.listen({
      onFrame: ({ type, sequence, payload }) => {
        if (type !== "weights") return;
        this.#lastAnswerMs = clock.now();
        this.#take(sequence)?.resolve(payload);
      },
      onClose: (reason) => {
        for (const id of [...this.#pending.keys()]) this.fail(id, reason);
      },
    });
  }

  /** Reads a range of any length. Throws a WeightReadError. */
  async read(fileKey: string, { start, end }: FileRange): Promise<Uint8Array> {
    const bytes = new Uint8Array(end - start);
    for (let at = start; at < end; at += MAX_READ_BYTES) {
      const range = { start: at, end: Math.min(end, at + MAX_READ_BYTES) };
      bytes.set(await this.#readOnce(fileKey, range), at - start);
    }
    return bytes;
  }

  /** The coordinator's "read-failed". */
  fail(id: number, reason: string): void {
    this.#take(id)?.reject(new WeightReadError(`The coordinator sent no weights: ${reason}`));
  }

  async #readOnce(fileKey: string, { start, end }: FileRange): Promise<Uint8Array> {
    const { closedReason } = this.#link;
    if (closedReason !== null) throw new WeightReadError(`The link is closed: ${closedReason}`);
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    this.#pending.set(id, { resolve, reject });
    this.#link.sendControl({ type: "read", id, fileKey, start, end });
    const waiting = new AbortController();
    this.#silence(waiting.signal).then(
      () => this.fail(id, `nothing came within ${READ_DEADLINE_MS} ms`),
      () => {},
    );
    try {
      const bytes = await promise;
      if (bytes.length === end - start) return bytes;
      throw new WeightReadError(`${bytes.length} bytes came instead of ${end - start}`);
    } finally {
      waiting.abort();
    }
  }

  /** Resolves when nothing was answered for too long: many reads share one slow link. */
  async #silence(signal: AbortSignal): Promise<void> {
    const startMs = this.#clock.now();
    const leftMs = () =>
      Math.max(startMs, this.#lastAnswerMs) + READ_DEADLINE_MS - this.#clock.now();
    for (let waitMs = leftMs(); waitMs > 0; waitMs = leftMs()) {
      await this.#clock.sleep(waitMs, signal);
    }
  }

  #take(id: number): PendingRead | undefined {
    const read = this.#pending.get(id);
    this.#pending.delete(id);
    return read;
  }
}

type ReadRequest = Extract<PeerControl, { type: "read" }>;

/** The answering side, for one peer of the coordinator. */
export class WeightServing {
  readonly #link: PeerLink;
  readonly #readFile: (fileKey: string, range: FileRange) => Promise<Uint8Array>;
  readonly #waiting: ReadRequest[] = [];
  #numServed = 0;

  /** `readFile` throws for a file or range that peers may not have. */
  constructor(
    link: PeerLink,
    readFile: (fileKey: string, range: FileRange) => Promise<Uint8Array>,
  ) {
    this.#link = link;
    this.#readFile = readFile;
  }

  /** Answers by a frame or a "read-failed", in the order of the requests. */
  take(request: ReadRequest): void {
    if (this.#waiting.length >= MAX_READS_WAITING) {
      return this.#refuse(request, `more than ${MAX_READS_WAITING} reads are waiting`);
    }
    this.#waiting.push(request);
    while (this.#numServed < MAX_READS_AT_ONCE && this.#serveNext());
  }

  /** False when nothing waits. */
  #serveNext(): boolean {
    if (this.#link.closedReason !== null) this.#waiting.length = 0;
    const request = this.#waiting.shift();
    if (request === undefined) return false;
    this.#numServed++;
    this.#serve(request).catch((error) => this.#refuse(request, error.message)).finally(() => {
      this.#numServed--;
      this.#serveNext();
    });
    return true;
  }

  async #serve({ id, fileKey, start, end }: ReadRequest): Promise<void> {
    if (!(start < end && end - start <= MAX_READ_BYTES)) {
      throw new WeightReadError(`[${start}, ${end}) is no range of up to ${MAX_READ_BYTES} bytes`);
    }
    const payload = await this.#readFile(fileKey, { start, end });
    await this.#link.sendFrame(
      {
        type: "weights",
        epoch: 0,
        sequence: id,
        position: 0,
        numTokens: 0,
        dtype: "none",
        payload,
      },
      "bulk",
    );
  }

  #refuse({ id }: ReadRequest, reason: string): void {
    this.#link.sendControl({ type: "read-failed", id, reason: clipReason(reason) });
  }
}
