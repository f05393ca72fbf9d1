import { encode, renderUnicodeCompact } from "uqr";

/** White beside the code, in modules, so that cameras find it. */
const QUIET_MODULES = 2;

/** What the terminal can show. */
export interface TerminalOptions {
  readonly columns: number;
  /** Fixes black and white, whatever the terminal's theme; without it a dark one is assumed. */
  readonly hasColor: boolean;
}

/** The text as a QR code of half blocks, or null where the terminal is too narrow for it. */
export function terminalQr(text: string, { columns, hasColor }: TerminalOptions): string | null {
  if (encode(text, { border: QUIET_MODULES }).size > columns) return null;
  const lines = renderUnicodeCompact(text, { border: QUIET_MODULES }).split("\n");
  return lines.map((line) => hasColor ? whiteOnBlack(line) : line).join("\n");
}

/** For the terminal that stdout is; null when it is none, unless asked for. */
export function stdoutQr(text: string, { isAsked = false } = {}): string | null {
  const isTerminal = Deno.stdout.isTerminal();
  if (!isTerminal && !isAsked) return null;
  return terminalQr(text, {
    columns: isTerminal ? Deno.consoleSize().columns : Infinity,
    hasColor: isTerminal && !Deno.noColor,
  });
}

function whiteOnBlack(line: string): string {
  return `\x1b[38;5;231;48;5;16m${line}\x1b[0m`;
}
