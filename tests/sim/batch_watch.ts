import { type Batch, type BatchSlice, BLOCK_SIZE, numBatchTokens } from "../../src/core.ts";
import type { StageLimits } from "../../src/stage/stage_limits.ts";
import type { Client } from "./client.ts";
import { type Invariant, InvariantError } from "./invariant_error.ts";
import type { Reach } from "./reach.ts";

/** What is known of a sequence from its batches. */
interface Watched {
  readonly client: Client;
  /** Of the last slice; null before the first one of a pipeline. */
  run: {
    readonly epoch: number;
    readonly numPreemptions: number;
    readonly end: number;
    readonly blocks: ReadonlyMap<number, { readonly index: number; readonly sinceStep: number }>;
  } | null;
}

/** Who wrote a block last, and when. */
interface LastWrite {
  readonly sequenceId: number;
  readonly step: number;
  readonly salt: string;
}

/** Looks at every batch on its way from the engine to the pipeline, and at what comes back. */
export class BatchWatch {
  readonly #limits: () => StageLimits;
  readonly #reach: Reach;
  readonly #sequences = new Map<number, Watched>();
  readonly #starting: { client: Client | null } = { client: null };
  readonly #lastWrites = new Map<number, LastWrite>();
  #nextSequenceId = 0;
  #epoch = -1;
  #step = 0;

  constructor({ limits, reach }: { readonly limits: () => StageLimits; readonly reach: Reach }) {
    this.#limits = limits;
    this.#reach = reach;
  }

  /** Whether any batch of a client has been sent. */
  hasRun(client: Client): boolean {
    return [...this.#sequences.values()].some((watched) =>
      watched.client === client && watched.run !== null
    );
  }

  /** Calls `start`, which may queue a sequence of `client`, and says whether it did. */
  watchStart(client: Client, start: () => void, numSequences: () => number): void {
    const numBefore = numSequences();
    this.#starting.client = client;
    start();
    this.#starting.client = null;
    const isKnown = this.#sequences.has(this.#nextSequenceId);
    if (!isKnown && numSequences() <= numBefore) return;
    this.#watched(this.#nextSequenceId, client);
    this.#nextSequenceId++;
  }

  /** A batch leaves the engine. */
  takeBatch(batch: Batch, { epoch, numStages, numPreemptions }: {
    readonly epoch: number;
    readonly numStages: number;
    readonly numPreemptions: number;
  }): void {
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#lastWrites.clear();
    }
    this.#step++;
    this.#checkLimits(batch, numStages);
    for (const slice of batch.slices) {
      const { blockCopy } = slice;
      if (blockCopy === undefined) continue;
      this.#reach.count("path: block copy");
      this.#checkSalt(slice, blockCopy.from);
    }
    for (const slice of batch.slices) this.#checkWrites(slice, batch);
    for (const slice of batch.slices) this.#checkSlice(slice, numPreemptions);
  }

  /** Its tokens come back. */
  takeTokens(batch: Batch): void {
    for (const { sequenceId, takesDrawn } of batch.slices) {
      if (!takesDrawn || !this.#sequences.get(sequenceId)?.client.isOver) continue;
      this.#reach.count("path: decode ahead discarded");
    }
  }

  #watched(sequenceId: number, client: Client): Watched {
    let watched = this.#sequences.get(sequenceId);
    if (watched === undefined) {
      watched = { client, run: null };
      this.#sequences.set(sequenceId, watched);
    }
    return watched;
  }

  #find({ sequenceId }: BatchSlice): Watched {
    const watched = this.#sequences.get(sequenceId);
    if (watched !== undefined) return watched;
    const { client } = this.#starting;
    if (sequenceId === this.#nextSequenceId && client !== null) {
      return this.#watched(sequenceId, client);
    }
    throw new InvariantError("S7", `A batch runs sequence ${sequenceId}, which nobody started`);
  }

  #checkLimits(batch: Batch, numStages: number): void {
    const { maxBatchTokens, maxSequences } = this.#limits();
    const numTokens = numBatchTokens(batch);
    check(numTokens <= maxBatchTokens, "S7", () => `A batch has ${numTokens} tokens`);
    check(
      batch.slices.length <= maxSequences,
      "S7",
      () => `A batch has ${batch.slices.length} slices`,
    );
    const slots = new Set(batch.slices.map(({ slot }) => slot));
    check(slots.size === batch.slices.length, "S7", () => "Two slices of a batch share a slot");
    for (const slice of batch.slices) {
      const { slot, takesDrawn } = slice;
      check(slot >= 0 && slot < maxSequences, "S7", () => `There is no slot ${slot}`);
      check(!takesDrawn || numStages === 1, "S7", () => "Another stage draws the tokens");
      if (takesDrawn) this.#reach.count("path: decode ahead");
    }
  }

  /** S4 and S12, as far as the batch alone shows them. */
  #checkWrites(slice: BatchSlice, { slices }: Batch): void {
    const { sequenceId, startPosition, tokenIds, blockTable } = slice;
    const end = startPosition + tokenIds.length;
    const firstWritten = startPosition / BLOCK_SIZE | 0;
    check(
      blockTable.length === Math.ceil(end / BLOCK_SIZE) &&
        new Set(blockTable).size === blockTable.length,
      "S3",
      () => `Sequence ${sequenceId} has blocks "${blockTable}" for ${end} tokens`,
    );
    for (const block of blockTable.subarray(0, firstWritten)) this.#checkSalt(slice, block);
    for (const block of blockTable.subarray(firstWritten)) {
      for (const other of slices) {
        check(
          other === slice || !other.blockTable.includes(block),
          "S4",
          () => `Sequence ${sequenceId} writes block ${block} of sequence ${other.sequenceId}`,
        );
      }
    }
  }

  #checkSalt(slice: BatchSlice, block: number): void {
    const { cacheSalt } = this.#find(slice).client.plan;
    const written = this.#lastWrites.get(block);
    check(
      written === undefined || written.salt === cacheSalt,
      "S12",
      () => `Sequence ${slice.sequenceId} reads block ${block} of another salt`,
    );
  }

  #checkSlice(slice: BatchSlice, numPreemptions: number): void {
    const { sequenceId, startPosition, tokenIds } = slice;
    const watched = this.#find(slice);
    const end = startPosition + tokenIds.length;
    check(
      !watched.client.isOver,
      "S7",
      () => `A batch runs sequence ${sequenceId}, which is over`,
    );
    this.#checkTokens(slice, watched.client);
    const { run } = watched;
    const isFirst = run?.epoch !== this.#epoch || run.end !== startPosition;
    if (isFirst) this.#checkFirst(slice, { isNew: run === null });
    const isSure = !isFirst && run.numPreemptions === numPreemptions;
    const blocks = this.#heldBlocks(slice, isSure ? run.blocks : new Map());
    watched.run = { epoch: this.#epoch, numPreemptions, end, blocks };
    const { cacheSalt: salt } = watched.client.plan;
    for (const block of slice.blockTable.subarray(startPosition / BLOCK_SIZE | 0)) {
      this.#lastWrites.set(block, { sequenceId, step: this.#step, salt });
    }
  }

  /** A sequence that starts within a block must have got a copy of it. */
  #checkFirst(slice: BatchSlice, { isNew }: { readonly isNew: boolean }): void {
    const { sequenceId, startPosition, blockTable, blockCopy } = slice;
    if (startPosition > 0) this.#reach.count(isNew ? "path: prefix hit" : "path: prefix hit again");
    if (startPosition % BLOCK_SIZE === 0) return;
    const block = blockTable[startPosition / BLOCK_SIZE | 0];
    check(
      blockCopy?.to === block,
      "S4",
      () => `Sequence ${sequenceId} goes on at ${startPosition} in block ${block} of another`,
    );
  }

  /** Blocks with the step since which the sequence has held them; nobody else may write them. */
  #heldBlocks(
    { sequenceId, blockTable }: BatchSlice,
    before: NonNullable<Watched["run"]>["blocks"],
  ): NonNullable<Watched["run"]>["blocks"] {
    const held = new Map<number, { readonly index: number; readonly sinceStep: number }>();
    for (const [index, block] of blockTable.entries()) {
      const last = before.get(block);
      const sinceStep = last?.index === index ? last.sinceStep : this.#step;
      const written = this.#lastWrites.get(block);
      check(
        written === undefined || written.sequenceId === sequenceId || written.step <= sinceStep,
        "S4",
        () => `Sequence ${written?.sequenceId} wrote block ${block}, which ${sequenceId} holds`,
      );
      held.set(block, { index, sinceStep });
    }
    return held;
  }

  #checkTokens(
    { sequenceId, startPosition, tokenIds, takesDrawn, sample }: BatchSlice,
    client: Client,
  ) {
    const { reference } = client;
    const { promptTokenIds } = reference;
    const end = startPosition + tokenIds.length;
    reference.reach(end - promptTokenIds.length);
    for (const [i, tokenId] of tokenIds.entries()) {
      const position = startPosition + i;
      const wanted = promptTokenIds[position] ??
        reference.tokenIds[position - promptTokenIds.length];
      check(
        takesDrawn ? tokenId === 0 : tokenId === wanted,
        "S1",
        () => `Sequence ${sequenceId} runs token ${tokenId} at ${position} instead of ${wanted}`,
      );
    }
    check(
      sample === undefined || sample.tokenIndex === end - promptTokenIds.length,
      "S1",
      () => `Sequence ${sequenceId} draws token ${sample?.tokenIndex} at ${end}`,
    );
  }
}

function check(isTrue: boolean, invariant: Invariant, message: () => string): asserts isTrue {
  if (!isTrue) throw new InvariantError(invariant, message());
}
