import { HttpError } from "./errors.ts";

/** Something that can be ended early and still gives what it has. */
export interface Stoppable {
  readonly id: string;
  stop(): void;
}

/** The completions being generated, by the id that clients know. */
export class RunningCompletions {
  readonly #byId = new Map<string, Stoppable>();

  get size(): number {
    return this.#byId.size;
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  /** Throws 409 when the id is taken; the caller removes what it added. */
  add(completion: Stoppable): void {
    if (this.#byId.has(completion.id)) {
      throw new HttpError(409, `A completion with the id '${completion.id}' is running already`, {
        param: "request_id",
        code: "request_id_in_use",
      });
    }
    this.#byId.set(completion.id, completion);
  }

  remove(completion: Stoppable): void {
    if (this.#byId.get(completion.id) === completion) this.#byId.delete(completion.id);
  }

  /** Ends one with what it has; throws 404 when it is not running. */
  stop(id: string): void {
    const completion = this.#byId.get(id);
    if (completion === undefined) {
      throw new HttpError(404, `No running completion has the id '${id}'`, {
        param: "request_id",
        code: "request_not_found",
      });
    }
    completion.stop();
  }
}
