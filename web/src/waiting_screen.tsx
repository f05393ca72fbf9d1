import type { ComponentChildren } from "preact";

/** Something is under way that tells no progress. */
export function WaitingScreen({ title, text, children }: {
  readonly title: string;
  readonly text: string;
  readonly children?: ComponentChildren;
}) {
  return (
    <>
      <h1 tabIndex={-1}>{title}</h1>
      <p class="lead">{text}</p>
      <div class="sweep" aria-hidden="true">
        <span />
      </div>
      {children}
    </>
  );
}
