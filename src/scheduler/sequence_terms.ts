import type { Priority } from "../core.ts";

/** How a sequence is treated among others. */
export interface SequenceTerms {
  /** "interactive" unless given. */
  readonly priority: Priority;
  /** Whose share of the tokens it takes: clients that wait are served evenly. "" unless given. */
  readonly clientId: string;
  /** Cached prefixes are shared with sequences of the same salt only. "" unless given. */
  readonly cacheSalt: string;
}

/** For whoever asks for nothing. */
export const DEFAULT_TERMS: SequenceTerms = {
  priority: "interactive",
  clientId: "",
  cacheSalt: "",
};
