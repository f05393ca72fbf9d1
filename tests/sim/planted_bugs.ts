/** A mistake that the simulation must find: a change of one place in src. */
export interface PlantedBug {
  readonly name: string;
  readonly file: string;
  /** Occurs in the file exactly once. */
  readonly find: string;
  readonly replace: string;
}

/** Each is found within 500 seeds. */
export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: "no epoch check",
    file: "src/pipeline/stage_service.ts",
    find: "if (epoch !== this.#options.epoch || stepId <= this.#lastStepId) {",
    replace: "if (stepId <= this.#lastStepId) {",
  },
  {
    name: "dedupe without the step",
    file: "src/pipeline/stage_service.ts",
    find: "if (epoch !== this.#options.epoch || stepId <= this.#lastStepId) {",
    replace: "if (epoch !== this.#options.epoch) {",
  },
  {
    name: "shared block written in place",
    file: "src/scheduler/prefix_cache.ts",
    find: "return { node, tail, numTokens: node.depth * BLOCK_SIZE + (tail?.numTokens ?? 0) };",
    replace: "return { node: tail === null ? node : partial!.child, tail: null, " +
      "numTokens: node.depth * BLOCK_SIZE + (tail?.numTokens ?? 0) };",
  },
  {
    name: "block copy left out",
    file: "src/scheduler/kv_memory.ts",
    find: "blockCopy: tail && { from: tail.block, to: blockTable[node.depth]! },",
    replace: "blockCopy: null,",
  },
  {
    name: "block copy repeated with every slice",
    file: "src/scheduler/live_sequence.ts",
    find: "  sequence.first = NOTHING_FIRST;\n",
    replace: "",
  },
  {
    name: "aborted sequence stays in the queue",
    file: "src/scheduler/queues.ts",
    find: "if (!this.#waiting.remove(sequence)) this.#stopRunning(sequence);",
    replace: "if (sequence.slot !== null) this.#stopRunning(sequence);",
  },
  {
    name: "aborted sequence keeps its saved states",
    file: "src/scheduler/kv_memory.ts",
    find:
      "for (const state of sequence.reservedStates.splice(0)) this.#cache.states.cancel(state);",
    replace: "sequence.reservedStates.splice(0);",
  },
  {
    name: "abort not sent to one stage: no unload",
    file: "src/cluster/cluster.ts",
    find: 'member.link.sendControl({ type: "unload", reason: "Others hold its layers now" });',
    replace: "",
  },
  {
    name: "double free on cancel",
    file: "src/scheduler/kv_memory.ts",
    find: "    this.#cache.release(sequence.blockTable);",
    replace:
      "    if (sequence.numPendingDraws > 0) this.#cache.release([...sequence.blockTable]);\n" +
      "    this.#cache.release(sequence.blockTable);",
  },
  {
    name: "eviction of a referenced radix node",
    file: "src/scheduler/prefix_cache.ts",
    find: "      this.#blocks.retain(at.block);\n      this.#idle.delete(at.block);",
    replace: "      this.#blocks.retain(at.block);",
  },
  {
    name: "preempted request loses a token",
    file: "src/scheduler/live_sequence.ts",
    find: "  sequence.run++;",
    replace: "  sequence.run++;\n" +
      "  if (sequence.tokenIds.length > sequence.numPromptTokens) sequence.tokenIds.pop();",
  },
  {
    name: "terminal event twice",
    file: "src/scheduler/token_stream.ts",
    find: "        if (isFinished) this.#end = null;\n",
    replace: "",
  },
  {
    name: "slices of an earlier run count as computed",
    file: "src/scheduler/scheduler.ts",
    find: "return sequence?.run === runs[i] ? [{ sequence: sequence!, slice }] : [];",
    replace: "return sequence !== undefined && runs[i] !== undefined ? [{ sequence, slice }] : [];",
  },
  {
    name: "salt ignored",
    file: "src/scheduler/prefix_cache.ts",
    find: "let node = this.#roots.get(salt) ?? createRoot();",
    replace: "let node = this.#roots.get(salt) ?? [...this.#roots.values()][0] ?? createRoot();",
  },
  {
    name: "partial match one token too long",
    file: "src/scheduler/radix_node.ts",
    find: "if (numTokens > (longest?.numTokens ?? 0)) longest = { child, numTokens };",
    replace: "if (numTokens > (longest?.numTokens ?? 0)) {\n" +
      "      longest = { child, numTokens: Math.min(numTokens + 1, tokenIds.length) };\n    }",
  },
  {
    name: "blocks of an unfinished step are cached",
    file: "src/scheduler/kv_memory.ts",
    find: "const { numCachedTokens: numTokens, terms: { cacheSalt: salt } } = sequence;",
    replace: "const { numScheduledTokens: numTokens, terms: { cacheSalt: salt } } = sequence;",
  },
  {
    name: "saved state not restored",
    file: "src/scheduler/kv_memory.ts",
    find: "restoreFrom: node.savedState,",
    replace: "restoreFrom: null,",
  },
  {
    name: "encoder keeps blocks that are others now",
    file: "src/pipeline/batch_encoder.ts",
    find: "while (length < most && a[length] === b[length]) length++;",
    replace: "while (length < most) length++;",
  },
  {
    name: "stage kept when the coordinator is gone",
    file: "src/peer/peer.ts",
    find: "if (session !== null) this.#unloaded = session.holder.unload(reason);",
    replace: "",
  },
  {
    name: "requests before the warm-up",
    file: "src/cluster/pipeline_start.ts",
    find: "      await warmUp(pipeline, limits);\n",
    replace: "",
  },
  {
    name: "late tokens of an old pipeline are taken",
    file: "src/pipeline/mesh_pipeline.ts",
    find: 'if (frame.type !== "tokens" || frame.epoch !== this.#options.epoch) return;',
    replace: 'if (frame.type !== "tokens") return;',
  },
];
