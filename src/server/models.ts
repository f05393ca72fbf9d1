import { HttpError } from "./errors.ts";
import type { ServedModel } from "./options.ts";

/** One entry of `/v1/models`. */
export interface ModelCard {
  readonly id: string;
  readonly object: "model";
  readonly created: number;
  readonly owned_by: string;
  /** As vLLM names it; front ends size their context by it. */
  readonly max_model_len: number;
}

export function modelCard(
  model: ServedModel,
  { created, maxModelLength }: { created: number; maxModelLength: number },
): ModelCard {
  const { id } = model;
  return { id, object: "model", created, owned_by: "tessera", max_model_len: maxModelLength };
}

/** Throws 404 unless `name` is the served model; none at all means the served one. */
export function requireModel(name: string | null | undefined, model: ServedModel): void {
  if (name === null || name === undefined || name === model.id) return;
  if (model.aliases?.includes(name)) return;
  throw new HttpError(404, `The model '${name}' does not exist: this server has '${model.id}'`, {
    param: "model",
    code: "model_not_found",
  });
}
