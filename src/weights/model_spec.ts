/**
 * What people write for a model: a hub id, a folder, a .gguf path or a URL.
 *
 * @module
 */
import type { HubModelSpec } from "./hub_model.ts";

/** A model as written, understood. */
export type ModelSpec =
  | { readonly type: "url"; readonly url: string }
  | { readonly type: "gguf"; readonly path: string }
  | { readonly type: "folder"; readonly path: string }
  /** `path` is what it would be as a folder: an existing one wins. */
  | { readonly type: "hub"; readonly hub: HubModelSpec; readonly path: string };

/** A model that nobody can find by what was written. */
export class ModelSpecError extends Error {
  override readonly name = "ModelSpecError";
}

const PART = "[A-Za-z0-9][\\w.-]*";
const HUB = new RegExp(`^(${PART}/${PART})(?:@([\\w.-]+(?:/[\\w.-]+)*))?(?::(.+\\.gguf))?$`);

/** Understands `text` without looking at any disk. Throws a ModelSpecError. */
export function parseModelSpec(text: string): ModelSpec {
  const spec = text.trim();
  if (spec === "") {
    throw new ModelSpecError("The model is empty: name a hub id, folder, file or URL");
  }
  if (/^https?:\/\//i.test(spec)) {
    if (!URL.canParse(spec)) throw new ModelSpecError(`"${spec}" is no URL`);
    return { type: "url", url: spec };
  }
  const hub = HUB.exec(spec);
  const [, id = "", revision = "main", file = null] = hub ?? [];
  if (file === null && /\.gguf$/i.test(spec)) return { type: "gguf", path: spec };
  // A file or revision above the repository would leave the cache.
  const isInside = [...id.split("/"), ...revision.split("/"), ...(file ?? "").split("/")]
    .every((part) => part !== ".." && part !== "." && !part.includes("\\"));
  if (hub && isInside) return { type: "hub", hub: { id, revision, file }, path: spec };
  return { type: "folder", path: spec };
}

/** The last part of a path or URL path, without ".gguf". */
export function modelNameOf(path: string): string {
  const parts = path.split(/[\\/]+/).filter((part) => part !== "" && part !== ".");
  return (parts.at(-1) ?? "model").replace(/\.gguf$/i, "");
}
