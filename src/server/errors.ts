/** A request that cannot be answered: a status and an OpenAI error object. */
export class HttpError extends Error {
  readonly status: number;
  /** The request field at fault, as a path such as `messages[0].role`. */
  readonly param: string | null;
  /** Machine-readable cause. */
  readonly code: string | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, details: HttpErrorDetails = {}) {
    super(message);
    this.name = "HttpError";
    this.status = status;
    this.param = details.param ?? null;
    this.code = details.code ?? null;
    this.headers = details.headers ?? {};
  }

  toJSON(): { error: OpenAiError } {
    const { message, param, code } = this;
    return { error: { message, type: errorType(this.status), param, code } };
  }
}

export interface HttpErrorDetails {
  readonly param?: string;
  readonly code?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The shape that every OpenAI client reads. */
export interface OpenAiError {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
}

/** Whatever was thrown, as something a client can be told. Errors with a `status` keep it. */
export function toHttpError(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const { status, code } = Object(error) as { status?: unknown; code?: unknown };
  if (typeof status !== "number" || status < 400 || status >= 600) {
    return new HttpError(500, `The generation failed: ${message}`, { code: "internal_error" });
  }
  return new HttpError(status, message, {
    ...(typeof code === "string" && { code }),
    ...(status === 503 && { headers: { "retry-after": "5" } }),
  });
}

/** A complete answer for an error. */
export function errorResponse(error: HttpError): Response {
  return Response.json(error.toJSON(), { status: error.status, headers: error.headers });
}

function errorType(status: number): string {
  if (status === 401) return "authentication_error";
  if (status === 403) return "permission_error";
  if (status === 404) return "not_found_error";
  if (status === 429) return "rate_limit_error";
  return status < 500 ? "invalid_request_error" : "server_error";
}
