import type { JoinInstructions } from "../../src/cluster/status.ts";
import { CopyLine } from "./copy_line.tsx";

/** How devices join: for phones the picture, for browsers the link, for servers the command. */
export function JoinCard({ join }: { readonly join: JoinInstructions }) {
  const { link, command, qrSvg, note } = join;
  return (
    <section class="card small" aria-labelledby="join-title">
      <h2 id="join-title">Add a device</h2>
      <img
        class="qr"
        src={`data:image/svg+xml,${encodeURIComponent(qrSvg)}`}
        alt="The join link as a QR code"
      />
      <p>Scan it, or open the link in a browser:</p>
      <CopyLine label="Join link" text={link} />
      <p>On a server, without a browser:</p>
      <CopyLine label="Join command" text={command} />
      <p class="hint">Whoever has the link can join and see what the devices compute.</p>
      {note !== null && <p class="note">{note}</p>}
      {globalThis.isSecureContext && (
        <a
          class="button"
          href={`/${link.slice(link.indexOf("#"))}`}
          target="_blank"
          rel="noopener"
        >
          Lend this device's GPU
        </a>
      )}
    </section>
  );
}
