/**
 * Who has been served how much, so that clients that wait are served evenly, however many sequences
 * each of them sends. Virtual token counters as in "Fairness in Serving Large Language Models"
 * (OSDI 2024): the client with the lowest counter goes next.
 *
 * @module
 */

/** What a token costs: drawing one takes a step of its own, a prompt's share one. */
const COST = { prompt: 1, output: 2 };

/** Clients without a sequence that are remembered. */
const MAX_IDLE = 1024;

interface Account {
  served: number;
  /** Of this client, waiting or running. */
  numSequences: number;
}

/** One account for each client. */
export class FairShare {
  /** In the order of their last arrival. */
  readonly #accounts = new Map<string, Account>();
  #numIdle = 0;
  /** The most that any client had been served when its last sequence ended. */
  #mostServed = 0;

  /**
   * A sequence of the client arrives. One that was away has no credit for its absence: it starts
   * beside the least served of those that are there, or beside all others where nobody is.
   */
  arrive(clientId: string): void {
    let account = this.#accounts.get(clientId);
    if (account === undefined) {
      account = { served: 0, numSequences: 0 };
      this.#numIdle++;
    }
    if (account.numSequences === 0) {
      account.served = Math.max(account.served, this.#leastServed());
      this.#numIdle--;
    }
    account.numSequences++;
    this.#accounts.delete(clientId);
    this.#accounts.set(clientId, account);
  }

  /** A sequence of the client is over. */
  leave(clientId: string): void {
    const account = this.#accountOf(clientId);
    if (--account.numSequences > 0) return;
    this.#mostServed = Math.max(this.#mostServed, account.served);
    this.#numIdle++;
    this.#forgetOldest();
  }

  /** Tokens of the client were computed. */
  charge(clientId: string, kind: keyof typeof COST, numTokens: number): void {
    this.#accountOf(clientId).served += numTokens * COST[kind];
  }

  /** What the client's sequences have cost; comparable between clients that have any. */
  served(clientId: string): number {
    return this.#accountOf(clientId).served;
  }

  /** Throws unless the accounts count exactly the sequences of `clientIds`. */
  checkIntegrity(clientIds: Iterable<string>): void {
    const numSequences = new Map<string, number>();
    for (const id of clientIds) numSequences.set(id, (numSequences.get(id) ?? 0) + 1);
    for (const [id, account] of this.#accounts) {
      const counted = numSequences.get(id) ?? 0;
      if (account.numSequences === counted) continue;
      throw new Error(`A client has ${counted} sequences, its account ${account.numSequences}`);
    }
  }

  #accountOf(clientId: string): Account {
    const account = this.#accounts.get(clientId);
    if (account === undefined) throw new Error("The client has no account");
    return account;
  }

  #leastServed(): number {
    let least = Infinity;
    for (const { served, numSequences } of this.#accounts.values()) {
      if (numSequences > 0) least = Math.min(least, served);
    }
    return least === Infinity ? this.#mostServed : least;
  }

  #forgetOldest(): void {
    for (const [id, { numSequences }] of this.#accounts) {
      if (this.#numIdle <= MAX_IDLE) return;
      if (numSequences > 0) continue;
      this.#accounts.delete(id);
      this.#numIdle--;
    }
  }
}
