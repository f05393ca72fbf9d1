import { join } from "node:path";
import { generateJoinLink, type JoinLink } from "../mesh/join_link.ts";
import { decodeBase64Url, encodeBase64Url } from "../mesh/base64url.ts";
import { meshCrypto } from "../platform/web_crypto.ts";
import { writePrivateFile } from "./private_file.ts";

/** A room as it is kept on disk, so that links outlive the coordinator. */
interface StoredRoom {
  readonly room: string;
  readonly secret: string;
}

const FILE = "room.json";

/**
 * The room of this machine's coordinators: the one of earlier starts, unless a new one is wanted or
 * the file is damaged.
 */
export async function readRoom(
  folder: string,
  { isNew }: { readonly isNew: boolean },
): Promise<Pick<JoinLink, "room" | "secret">> {
  const path = join(folder, FILE);
  const stored = isNew ? null : parseRoom(await Deno.readTextFile(path).catch(() => ""));
  if (stored !== null) return stored;
  const { room, secret } = generateJoinLink(meshCrypto, { pageUrl: "http://localhost" });
  const text = JSON.stringify({ room, secret: encodeBase64Url(secret) } satisfies StoredRoom);
  await writePrivateFile(path, text);
  return { room, secret };
}

function parseRoom(text: string): Pick<JoinLink, "room" | "secret"> | null {
  try {
    const { room, secret } = JSON.parse(text) as Partial<StoredRoom>;
    const [roomBytes, secretBytes] = [room, secret].map((part) => decodeBase64Url(part ?? ""));
    if (roomBytes?.length !== 16 || secretBytes?.length !== 16) return null;
    return { room: encodeBase64Url(roomBytes), secret: secretBytes };
  } catch {
    return null;
  }
}
