import type { Announcement } from "./announcement.ts";

/** The page's name, and what it is doing. */
export function Header({ word, sentence, tone }: Announcement) {
  return (
    <header class="header">
      <span class="brand">
        <svg class="mark" viewBox="0 0 24 24" aria-hidden="true">
          <rect x="2" y="2" width="9" height="9" rx="2" />
          <rect x="13" y="2" width="9" height="9" rx="2" opacity="0.65" />
          <rect x="2" y="13" width="9" height="9" rx="2" opacity="0.4" />
          <rect x="13" y="13" width="9" height="9" rx="2" />
        </svg>
        Tessera
      </span>
      <span class={`pill ${tone}`} aria-hidden="true">{word}</span>
      <p class="unseen" role="status" aria-live="polite">{sentence}</p>
    </header>
  );
}
