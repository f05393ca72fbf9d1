/** The sequence took longer than its caller allowed. */
export class TimeoutError extends Error {
  override readonly name = "TimeoutError";
  readonly status = 504;
  readonly code = "timeout";

  constructor(timeoutMs: number) {
    super(`The generation took longer than ${timeoutMs / 1000} s: allow more time or fewer tokens`);
  }
}

/** The pipeline was replaced by one whose KV cache is too small for what the sequence has become. */
export class CacheTooSmallError extends Error {
  override readonly name = "CacheTooSmallError";
  readonly status = 503;
  readonly code = "cache_too_small";

  constructor() {
    super("The peers that are left have too little memory for this conversation: shorten it");
  }
}
