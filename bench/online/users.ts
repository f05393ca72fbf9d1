import type { Clock } from "../../src/platform/platform.ts";
import { type Load, type PlannedRequest, UserRequests } from "./arrivals.ts";
import type { Answer, CompletionClient } from "./completion_client.ts";
import type { Window } from "./level_statistics.ts";

/** What the users of a level saw. */
export interface Observed {
  readonly answers: readonly Answer[];
  readonly window: Window;
}

/** A user whose request failed waits this long. */
const PAUSE_MS = 1_000;
/** Every user has had an answer by then. */
const RAMP_UP_DEADLINE_MS = 300_000;

/** Users who send requests side by side. To be observed once. */
export class Users {
  readonly #client: CompletionClient;
  readonly #clock: Clock;
  readonly #load: Load;
  readonly #numUsers: number;
  readonly #stopping = new AbortController();
  readonly #answers: Answer[] = [];
  readonly #open = new Set<Promise<Answer>>();
  readonly #answered = new Set<number>();
  readonly #ramp = Promise.withResolvers<void>();

  constructor({ client, clock, load, numUsers }: {
    readonly client: CompletionClient;
    readonly clock: Clock;
    readonly load: Load;
    readonly numUsers: number;
  }) {
    this.#client = client;
    this.#clock = clock;
    this.#load = load;
    this.#numUsers = numUsers;
  }

  /**
   * Lets them send requests. The window opens when each of them has had an answer, so that the
   * ramp-up is before it. When it closes, open requests are aborted: there is no tail.
   */
  async observe(windowMs: number): Promise<Observed> {
    const { type } = this.#load.arrivals;
    const users = Array.from({ length: this.#numUsers }, (_, user) => {
      const requests = new UserRequests(this.#load, user);
      const asking = type === "closed"
        ? this.#askInTurn(user, requests)
        : this.#askAnyway(user, requests);
      return asking.catch((error) => {
        if (!this.#stopping.signal.aborted) throw error;
      });
    });
    try {
      await Promise.race([this.#rampedUp(), ...users]);
      const startMs = this.#clock.now();
      await Promise.race([this.#clock.sleep(windowMs), ...users]);
      const window = { startMs, endMs: this.#clock.now() };
      return { answers: this.#answers, window };
    } finally {
      this.#stopping.abort();
      await Promise.all([...users, ...this.#open]);
    }
  }

  async #rampedUp(): Promise<void> {
    const late = this.#clock.sleep(RAMP_UP_DEADLINE_MS, this.#stopping.signal).then(() => {
      const missing = this.#numUsers - this.#answered.size;
      throw new Error(`${missing} users had no answer within ${RAMP_UP_DEADLINE_MS / 1000} s`);
    });
    late.catch(() => {});
    await Promise.race([this.#ramp.promise, late]);
  }

  async #askInTurn(user: number, requests: UserRequests): Promise<never> {
    while (true) {
      const request = requests.next();
      await this.#sleep(request.waitMs);
      const { outcome } = await this.#ask(user, request);
      if (outcome === "failed") await this.#sleep(PAUSE_MS);
    }
  }

  async #askAnyway(user: number, requests: UserRequests): Promise<never> {
    while (true) {
      const request = requests.next();
      await this.#sleep(request.waitMs);
      const answering = this.#ask(user, request);
      this.#open.add(answering);
      void answering.then(() => this.#open.delete(answering));
    }
  }

  async #ask(user: number, request: PlannedRequest): Promise<Answer> {
    const answer = await this.#client.complete(request, { signal: this.#stopping.signal });
    this.#answers.push(answer);
    if (this.#answered.add(user).size === this.#numUsers) this.#ramp.resolve();
    return answer;
  }

  /** Rejects once the users stop. */
  #sleep(ms: number): Promise<void> {
    return this.#clock.sleep(ms, this.#stopping.signal);
  }
}
