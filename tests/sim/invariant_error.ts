/** The invariants of a run. */
export const INVARIANTS = {
  S1: "the tokens of a request are those of a run of its own, in order, each once",
  S2: "a request has exactly one end, of a kind that it may have",
  S3: "blocks, slots and sequences are accounted for",
  S4: "a shared block is never written",
  S6: "a stage runs what was sent to it in the epoch that it serves, each step once",
  S7: "a request is in one state, and batches are within their limits",
  S8: "the stages of a pipeline cover the layers once, on members of the mesh",
  S9: "what waits to be sent is bounded",
  S10: "an identity has one entry and one link",
  S11: "no request runs before its pipeline was tried out",
  S12: "no block is shared across cache salts",
  L1: "every request ends, those that can with success",
  L2: "nothing is left when all is closed",
  L3: "the cluster's state follows what happened within 3 s",
  L4: "no request starves",
  L5: "membership equals the peers that are alive within 5 s",
  X: "nothing throws into the void and nothing ambient is used",
} as const;

export type Invariant = keyof typeof INVARIANTS;

/** A broken invariant. */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
  readonly invariant: Invariant;

  constructor(invariant: Invariant, message: string) {
    super(`${invariant} (${INVARIANTS[invariant]}): ${message}`);
    this.invariant = invariant;
  }
}
