import type { SimNode } from "./node.ts";
import { mixNumber, mixText, type SimRng } from "./rng.ts";

/** Taken before a run replaces it by a function that throws. */
declare function setImmediate(callback: () => void): void;
const nextTurn = setImmediate;

/** Something that happens at a time. */
export interface SimEvent {
  atMs: number;
  /** Decides among events of one time. */
  readonly tie: number;
  readonly sequence: number;
  /** To whom it happens: not while it sleeps, never once it is dead. Null: to the world. */
  readonly node: SimNode | null;
  readonly run: () => void;
  isCancelled: boolean;
}

/** How a kernel runs. */
export interface KernelOptions {
  /** Breaks ties; null leaves events of one time in the order in which they were scheduled. */
  readonly ties: SimRng | null;
  /** Takes each line of the event log. */
  readonly onTrace: ((line: string) => void) | null;
}

/** Until when to run. */
export interface RunOptions {
  /** Looked at before each event. */
  readonly until: () => boolean;
  readonly limitMs: number;
  /** Called when an event and all that follows from it at once is over. May throw. */
  readonly afterEvent: () => void;
}

/** Virtual time: a heap of events, run one by one, each with all microtasks that it causes. */
export class Kernel {
  nowMs = 0;
  /** Of all that happened, and in which order; u32. */
  hash = 1;
  numEvents = 0;
  readonly #options: KernelOptions;
  readonly #heap: SimEvent[] = [];
  #lastSequence = 0;

  constructor(options: KernelOptions) {
    this.#options = options;
  }

  /** Events that are still to come, to those that live. */
  get pending(): readonly SimEvent[] {
    return this.#heap.filter(({ isCancelled, node }) => !isCancelled && !node?.isDead);
  }

  get isTracing(): boolean {
    return this.#options.onTrace !== null;
  }

  schedule(delayMs: number, node: SimNode | null, run: () => void): SimEvent {
    const event: SimEvent = {
      atMs: this.nowMs + Math.max(0, delayMs),
      tie: this.#options.ties?.uint32() ?? 0,
      sequence: ++this.#lastSequence,
      node,
      run,
      isCancelled: false,
    };
    this.#push(event);
    return event;
  }

  cancel(event: SimEvent): void {
    event.isCancelled = true;
  }

  /** Puts an event that was held back where it is due now. */
  resume(event: SimEvent): void {
    if (event.isCancelled) return;
    event.atMs = Math.max(event.atMs, this.nowMs);
    this.#push(event);
  }

  /** Notes what happened, in the hash and the trace. */
  note(text: string): void {
    this.hash = mixText(this.hash, text);
    this.#options.onTrace?.(`${this.nowMs.toFixed(3).padStart(11)} ${text}`);
  }

  /** As `note`, for the trace alone: what is frequent and follows from the events. */
  trace(line: () => string): void {
    this.#options.onTrace?.(`${this.nowMs.toFixed(3).padStart(11)} ${line()}`);
  }

  /** Runs until the condition holds, the time is over or nothing is left to happen. */
  async run({ until, limitMs, afterEvent }: RunOptions): Promise<void> {
    await turn();
    afterEvent();
    while (!until()) {
      const event = this.#pop();
      if (event === undefined) return;
      if (event.atMs > limitMs) {
        this.#push(event);
        this.nowMs = limitMs;
        return;
      }
      if (event.isCancelled || event.node?.takes(event) === false) continue;
      // What has happened cannot be cancelled any more.
      event.isCancelled = true;
      this.nowMs = event.atMs;
      this.numEvents++;
      this.hash = mixNumber(mixNumber(this.hash, event.sequence), Math.round(event.atMs * 1024));
      event.run();
      await turn();
      afterEvent();
    }
  }

  #push(event: SimEvent): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): SimEvent | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let at = 0;
    while (true) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: SimEvent, b: SimEvent): boolean {
  return a.atMs !== b.atMs
    ? a.atMs < b.atMs
    : a.tie !== b.tie
    ? a.tie < b.tie
    : a.sequence < b.sequence;
}

/** All microtasks have run when it resolves. */
function turn(): Promise<void> {
  return new Promise((resolve) => nextTurn(resolve));
}
