import { formatBytes } from "./format.ts";
import type { StorageUse } from "./weight_storage.ts";

/** The weights that the browser keeps, and the way to be rid of them. */
export function StorageCard({ storage, note, isInUse, onDelete }: {
  readonly storage: StorageUse | null;
  readonly note: string | null;
  /** They are being read or written, so they cannot be deleted now. */
  readonly isInUse: boolean;
  readonly onDelete: () => void;
}) {
  const usedBytes = storage?.usedBytes ?? 0;
  return (
    <section class="card small" aria-labelledby="storage-title">
      <h2 id="storage-title">Kept weights</h2>
      {storage === null ? <p>The browser does not tell how much it keeps.</p> : (
        <>
          <p>
            <strong>{formatBytes(usedBytes)}</strong> of {formatBytes(storage.quotaBytes)}{" "}
            that the browser allows
          </p>
          <div class="meter" aria-hidden="true">
            <span style={{ width: `${percent(usedBytes, storage.quotaBytes)}%` }} />
          </div>
          <p class="hint">
            {storage.isPersistent
              ? "Kept until you delete them."
              : "The browser may clear them when the device runs low on space."}
          </p>
        </>
      )}
      <button
        type="button"
        class="quiet"
        disabled={isInUse || storage === null || usedBytes === 0}
        onClick={onDelete}
      >
        Delete kept weights
      </button>
      {isInUse && usedBytes > 0 && <p class="hint">In use. Leave first to delete them.</p>}
      <p class="hint" role="status">{note ?? ""}</p>
    </section>
  );
}

function percent(part: number, whole: number): number {
  return whole > 0 ? Math.min(100, (part * 100) / whole) : 0;
}
