/** What a client says, in y-webrtc's protocol. */
export type ClientMessage =
  | { readonly type: "subscribe" | "unsubscribe"; readonly topics: readonly string[] }
  | {
    readonly type: "publish";
    readonly topic: string;
    /** The whole message, to be passed on. */
    readonly content: Readonly<Record<string, unknown>>;
  }
  | { readonly type: "ping" };

/** Objects in objects; subscribers need not be able to read more. */
const MAX_DEPTH = 32;

/** The message in a text, or null when there is none. Never throws. */
export function parseClientMessage(text: string): ClientMessage | null {
  const content = parseObject(text);
  if (content === null) return null;
  switch (content.type) {
    case "subscribe":
    case "unsubscribe": {
      const { type, topics } = content;
      return isStrings(topics) ? { type, topics } : null;
    }
    case "publish":
      return typeof content.topic === "string"
        ? { type: "publish", topic: content.topic, content }
        : null;
    case "ping":
      return { type: "ping" };
    default:
      return null;
  }
}

/** A published message as subscribers get it: with the number of them. */
export function formatPublished(
  content: Readonly<Record<string, unknown>>,
  clients: number,
): string {
  return JSON.stringify({ ...content, clients });
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) && isShallow(value, MAX_DEPTH) ? value : null;
  } catch {
    return null;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function isShallow(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  return depth > 0 && Object.values(value).every((item) => isShallow(item, depth - 1));
}
