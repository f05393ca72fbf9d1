/** The page's document, as far as it is needed here. */
export interface VisibleDocument {
  readonly visibilityState: DocumentVisibilityState;
  addEventListener(type: "visibilitychange", listener: () => void): void;
  removeEventListener(type: "visibilitychange", listener: () => void): void;
}

/**
 * Keeps the screen on. The browser lets go whenever the page is hidden, so it is asked again when
 * the page is shown.
 */
export class ScreenWakeLock {
  readonly #wakeLock: WakeLock | undefined;
  readonly #document: VisibleDocument;
  #sentinel: WakeLockSentinel | null = null;
  #isWanted = false;
  #isAsking = false;

  /** `wakeLock` is undefined in browsers that have none. */
  constructor(wakeLock: WakeLock | undefined, document: VisibleDocument) {
    this.#wakeLock = wakeLock;
    this.#document = document;
  }

  hold(): void {
    if (this.#isWanted) return;
    this.#isWanted = true;
    this.#document.addEventListener("visibilitychange", this.#acquire);
    void this.#acquire();
  }

  release(): void {
    this.#isWanted = false;
    this.#document.removeEventListener("visibilitychange", this.#acquire);
    void this.#sentinel?.release();
    this.#sentinel = null;
  }

  readonly #acquire = async (): Promise<void> => {
    const isHeld = this.#sentinel !== null && !this.#sentinel.released;
    if (isHeld || this.#isAsking || this.#document.visibilityState !== "visible") return;
    this.#isAsking = true;
    try {
      const sentinel = await this.#wakeLock?.request("screen") ?? null;
      if (this.#isWanted) this.#sentinel = sentinel;
      else await sentinel?.release();
    } catch {
      // Low battery, or the page was hidden meanwhile: it is asked again when shown.
    } finally {
      this.#isAsking = false;
    }
  };
}
