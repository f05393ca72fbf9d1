/** An error for people: its message, and the cause where that says more. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return `Error: ${String(error)}`;
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : "";
  return `Error: ${error.message}${error.message.includes(cause.slice(2, -1)) ? "" : cause}`;
}
