import { formatBytes } from "../gpu/buffer.ts";
import type { DownloadProgress } from "../weights/download.ts";

/** Milliseconds between two lines where the terminal cannot rewrite one. */
const LINE_INTERVAL_MS = 5000;

/** Progress on stderr: one line that is rewritten on a terminal, else a line now and then. */
export class ProgressLine {
  #lastMs = -Infinity;
  #hasLine = false;

  /** What arrived of a file, how fast, and how long it will take. */
  download(progress: DownloadProgress): void {
    const { file, receivedBytes, totalBytes, bytesPerSecond, remainingMs } = progress;
    const share = totalBytes === null
      ? ""
      : ` of ${formatBytes(totalBytes)} (${Math.floor(100 * receivedBytes / totalBytes)} %)`;
    const remaining = remainingMs === null ? "" : `, ${formatDuration(remainingMs)} left`;
    this.#show(
      `Downloading ${file}: ${formatBytes(receivedBytes)}${share}, ${
        formatBytes(bytesPerSecond)
      }/s${remaining}`,
      receivedBytes === totalBytes,
    );
  }

  /** Bytes that reached the GPU. */
  loading(loadedBytes: number): void {
    this.#show(`Loading weights: ${formatBytes(loadedBytes)}`, false);
  }

  /** Ends the line, so that other text can follow. */
  end(): void {
    if (this.#hasLine) Deno.stderr.writeSync(new TextEncoder().encode("\n"));
    this.#hasLine = false;
  }

  #show(text: string, isLast: boolean): void {
    const isTerminal = Deno.stderr.isTerminal();
    const elapsedMs = performance.now() - this.#lastMs;
    if (!isLast && elapsedMs < (isTerminal ? 100 : LINE_INTERVAL_MS)) return;
    this.#lastMs = performance.now();
    this.#hasLine = isTerminal;
    const line = isTerminal ? `\r\x1b[2K${text}` : `${text}\n`;
    Deno.stderr.writeSync(new TextEncoder().encode(line));
  }
}

/** 95 s is 1:35. */
function formatDuration(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  return seconds < 60
    ? `${seconds} s`
    : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
