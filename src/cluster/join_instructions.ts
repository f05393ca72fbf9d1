import { renderSVG } from "uqr";
import type { JoinInstructions } from "./status.ts";

/** White beside the code, in modules: what the standard asks for. */
const QUIET_MODULES = 4;

/** What people need to join: the link, as it is, as a command and as a picture. */
export function joinInstructions(
  { link, note }: { link: string; note: string | null },
): JoinInstructions {
  return {
    link,
    // Shells would cut the link at its # or &.
    command: `deno task node --join "${link}"`,
    qrSvg: renderSVG(link, { border: QUIET_MODULES }),
    note,
  };
}
