/**
 * The variables by which people point every Hugging Face tool at the same hub and cache.
 *
 * @module
 */

/** What the environment says. */
export interface HubEnvironment {
  readonly endpoint: string;
  readonly token: string | null;
  readonly isOffline: boolean;
  /** Folder of the cache. */
  readonly cachePath: string;
}

/** Reads HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE, HF_HUB_CACHE, HF_HOME and XDG_CACHE_HOME. */
export function readHubEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): HubEnvironment {
  const get = (name: string) => environment[name]?.trim() || null;
  const home = get("HOME") ?? get("USERPROFILE") ?? ".";
  const hfHome = get("HF_HOME") ??
    `${get("XDG_CACHE_HOME") ?? `${home}/.cache`}/huggingface`;
  return {
    endpoint: (get("HF_ENDPOINT") ?? "https://huggingface.co").replace(/\/+$/, ""),
    token: get("HF_TOKEN"),
    isOffline: /^(1|true|yes|on)$/i.test(get("HF_HUB_OFFLINE") ?? ""),
    cachePath: (get("HF_HUB_CACHE") ?? get("HUGGINGFACE_HUB_CACHE") ?? `${hfHome}/hub`)
      .replace(/^~(?=\/|$)/, home),
  };
}
