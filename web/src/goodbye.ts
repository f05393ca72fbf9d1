/** What happens when the page goes and when it comes back. */
export interface Goodbye {
  /** The page goes, for good or into the browser's memory of pages. Only what is sent now is sent. */
  onGo(): void;
  /** It comes back from there, with its connections closed. */
  onReturn(): void;
}

/** Watches a page's coming and going. */
export function watchGoodbye(
  target: Pick<Window, "addEventListener">,
  { onGo, onReturn }: Goodbye,
): void {
  target.addEventListener("pagehide", onGo);
  target.addEventListener("pageshow", (event) => {
    if (event.persisted) onReturn();
  });
}
