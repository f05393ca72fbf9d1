import { useState } from "preact/hooks";

/** Text to be copied whole. `label` names it. */
export function CopyLine({ label, text }: { readonly label: string; readonly text: string }) {
  const [isCopied, setCopied] = useState(false);
  // Browsers have it in secure contexts only; elsewhere the text is selected by a click.
  const canCopy = globalThis.navigator?.clipboard !== undefined;
  const copy = () => void navigator.clipboard.writeText(text).then(() => setCopied(true));
  return (
    <div class="copy">
      <input
        type="text"
        readOnly
        value={text}
        aria-label={label}
        onFocus={(event) => event.currentTarget.select()}
      />
      {canCopy && (
        <button type="button" class="quiet" onClick={copy}>{isCopied ? "Copied" : "Copy"}</button>
      )}
    </div>
  );
}
