/** Whom a request is from: shares of the engine, places in the queue and cached prefixes go by it. */
export interface Client {
  /** "key 0" or "address 10.0.0.9"; never the key itself. */
  readonly id: string;
  /** Which API key it showed; null where the server has none. */
  readonly keyIndex: number | null;
}

/** Who sends a request, and what the headers say. */
export interface Sender {
  readonly client: Client;
  /** Origin of the page that sends it; null for the server's own and for programs. */
  readonly foreignOrigin: string | null;
  /** `X-Request-Id`, if it is fit to be an id. */
  readonly headerId: string | null;
  /** `X-Priority`, unchecked. */
  readonly headerPriority: string | null;
  /** Aborts when the client hangs up before it has an answer. */
  readonly signal: AbortSignal;
}
