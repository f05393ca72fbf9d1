import type { ModelConfig, Shard } from "../core.ts";
import { toHex } from "../mesh/hex.ts";
import type { FileRange } from "../mesh/weight_reads.ts";
import type { Architecture } from "../models/architecture.ts";
import { shardTensorNames } from "../models/check_tensors.ts";
import type { MeshCrypto } from "../platform/platform.ts";
import type { ModelShare } from "../weights/model_share.ts";

/** Where a shard's manifest is read, and what it amounts to. */
export interface ShelvedManifest {
  readonly manifestKey: string;
  readonly manifestBytes: number;
  /** Stored bytes of the shard's tensors. */
  readonly shardBytes: number;
}

/** A model as peers read it: its files, and a manifest for each shard as one more "file". */
export class ManifestShelf {
  readonly #share: ModelShare;
  readonly #model: { readonly architecture: Architecture; readonly config: ModelConfig };
  readonly #crypto: MeshCrypto;
  readonly #byShard = new Map<string, Promise<ShelvedManifest>>();
  readonly #manifests = new Map<string, Uint8Array>();

  constructor({ share, model, crypto }: {
    readonly share: ModelShare;
    readonly model: { readonly architecture: Architecture; readonly config: ModelConfig };
    readonly crypto: MeshCrypto;
  }) {
    this.#share = share;
    this.#model = model;
    this.#crypto = crypto;
  }

  /** Puts the manifest of a shard on the shelf. Throws what ModelShare throws. */
  manifest(shard: Shard): Promise<ShelvedManifest> {
    const name = JSON.stringify(shard);
    let made = this.#byShard.get(name);
    if (made === undefined) {
      this.#byShard.set(name, made = this.#make(shard));
      made.catch(() => this.#byShard.delete(name));
    }
    return made;
  }

  /** Bytes of a manifest or of a file that one names. Throws a RangeError for any other. */
  async readFile(fileKey: string, { start, end }: FileRange): Promise<Uint8Array> {
    const manifest = this.#manifests.get(fileKey);
    if (manifest === undefined) return await this.#share.readFile(fileKey, { start, end });
    if (end <= manifest.length) return manifest.slice(start, end);
    throw new RangeError(`Bytes [${start}, ${end}) are outside a list of ${manifest.length} bytes`);
  }

  async #make(shard: Shard): Promise<ShelvedManifest> {
    const manifest = await this.#share.manifest(shardTensorNames({ ...this.#model, shard }));
    const bytes = new TextEncoder().encode(JSON.stringify(manifest));
    const digest = new Uint8Array(await this.#crypto.subtle.digest("SHA-256", bytes));
    const manifestKey = toHex(digest);
    this.#manifests.set(manifestKey, bytes);
    const shardBytes = manifest.tensors.reduce((sum, tensor) => sum + tensor.byteLength, 0);
    return { manifestKey, manifestBytes: bytes.length, shardBytes };
  }
}
