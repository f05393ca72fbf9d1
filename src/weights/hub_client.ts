/**
 * The Hugging Face hub's two questions: which files does a repository have, and where is one.
 *
 * @module
 */
import { within } from "./deadline.ts";
import { FetchError, type HttpOptions, reasonOf } from "./http_range.ts";

/** Where the hub is and who asks. */
export interface HubAccess {
  /** Such as "https://huggingface.co", or a mirror's. */
  readonly endpoint: string;
  readonly token?: string;
}

/** A repository at a revision. */
export interface HubRepo {
  /** "organisation/name". */
  readonly id: string;
  /** Branch, tag or commit. */
  readonly revision: string;
}

/** A file of a repository. */
export interface HubFile {
  readonly path: string;
  readonly sizeBytes: number | null;
  /** Known for large files. */
  readonly sha256: string | null;
}

/** What a repository holds at a revision. */
export interface HubListing {
  readonly commit: string;
  readonly files: readonly HubFile[];
}

/** A model that the hub does not give: `status` is null when the hub could not be reached. */
export class HubError extends Error {
  override readonly name = "HubError";
  readonly status: number | null;

  constructor(message: string, { status, cause }: { status: number | null; cause?: unknown }) {
    super(message, { cause });
    this.status = status;
  }
}

/** Longest wait for a listing: a hub out of reach should not hold up a start. */
const LISTING_MS = 15_000;

/** Asks for the files of `repo`. Throws a HubError, or the signal's reason. */
export async function listHubFiles(
  repo: HubRepo,
  access: HubAccess,
  { fetch, clock, signal }: HttpOptions,
): Promise<HubListing> {
  const { endpoint } = access;
  const revision = encodeURIComponent(repo.revision);
  let status: number;
  let body: unknown;
  const timer = new AbortController();
  try {
    const answer = await within(
      (async () => {
        const response = await fetch(
          `${endpoint}/api/models/${repo.id}/revision/${revision}?blobs=true`,
          {
            headers: hubHeaders(access),
            signal: signal ? AbortSignal.any([signal, timer.signal]) : timer.signal,
          },
        );
        return { response, body: response.ok ? await response.json() : null };
      })(),
      {
        clock,
        ms: LISTING_MS,
        expired: () => new Error(`no answer in ${LISTING_MS / 1000} s`),
      },
    );
    if (!answer.response.ok) throw refusal(repo, access, answer.response);
    status = answer.response.status;
    body = answer.body;
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof HubError) throw error;
    throw new HubError(
      `Cannot reach "${endpoint}" for "${repo.id}" (${reasonOf(error)}): check the ` +
        "connection, set HF_ENDPOINT to a mirror, or pass a folder or .gguf file instead",
      { status: null, cause: error },
    );
  } finally {
    timer.abort();
  }
  const listing = parseListing(body);
  if (listing) return listing;
  throw new HubError(`"${endpoint}" answered with no list of files: is it a hub?`, { status });
}

/** Where a file of `repo` is downloaded from. */
export function hubFileUrl(repo: HubRepo, path: string, { endpoint }: HubAccess): string {
  const file = path.split("/").map(encodeURIComponent).join("/");
  return `${endpoint}/${repo.id}/resolve/${encodeURIComponent(repo.revision)}/${file}`;
}

/** Headers of every question. */
export function hubHeaders({ token }: HubAccess): Record<string, string> {
  return token ? { authorization: `Bearer ${token}` } : {};
}

/** What a refusal means to the user, by status and the hub's own error code. */
export function refusal(
  { id, revision }: HubRepo,
  { endpoint, token }: HubAccess,
  { status, headers }: { status: number; headers: Headers | null },
): HubError {
  const code = headers?.get("x-error-code") ?? "";
  const page = `${endpoint}/${id}`;
  if (code === "GatedRepo" || status === 403) {
    return new HubError(
      `"${id}" needs permission: accept its terms at ${page} and set HF_TOKEN to a token that ` +
        "may read it",
      { status },
    );
  }
  if (code === "RevisionNotFound") {
    return new HubError(`"${id}" has no revision "${revision}": see ${page}/tree/main`, { status });
  }
  if (code === "EntryNotFound") {
    return new HubError(`A file of "${id}" is gone at revision "${revision}": see ${page}`, {
      status,
    });
  }
  if (status === 401 || status === 404) {
    return new HubError(
      `"${id}" is not on the hub, or is private: check the spelling at ${page}` +
        (token
          ? ", and that HF_TOKEN may read it"
          : ", or set HF_TOKEN to a token that may read it"),
      { status },
    );
  }
  return new HubError(`The hub answered ${status} for "${id}": try again later`, { status });
}

/** The HubError that a failed download of a file of `repo` amounts to. */
export function asHubError(error: unknown, repo: HubRepo, access: HubAccess): unknown {
  if (!(error instanceof FetchError)) return error;
  if (error.status === null) {
    return new HubError(
      `The download of "${repo.id}" stopped (${error.message}): run again to go on from there`,
      { status: null, cause: error },
    );
  }
  return [401, 403, 404].includes(error.status)
    ? refusal(repo, access, { status: error.status, headers: error.headers })
    : error;
}

function parseListing(body: unknown): HubListing | null {
  const { sha, siblings } = (body ?? {}) as { sha?: unknown; siblings?: unknown };
  if (typeof sha !== "string" || !/^[0-9a-f]{40,64}$/.test(sha) || !Array.isArray(siblings)) {
    return null;
  }
  const files: HubFile[] = [];
  for (const sibling of siblings as { rfilename?: unknown; size?: unknown; lfs?: unknown }[]) {
    if (typeof sibling?.rfilename !== "string") return null;
    const hash = (sibling.lfs as { sha256?: unknown } | undefined)?.sha256;
    files.push({
      path: sibling.rfilename,
      sizeBytes: Number.isSafeInteger(sibling.size) ? sibling.size as number : null,
      sha256: typeof hash === "string" && /^[0-9a-f]{64}$/.test(hash) ? hash : null,
    });
  }
  return { commit: sha, files };
}
