import type { PageActions } from "./lend_page.ts";
import type { Problem } from "./problem.ts";
import { PROBLEM_TEXTS, type ProblemText } from "./problem_texts.ts";

/** What keeps the page from lending, and what to do. */
export function ProblemScreen({ problem, actions }: {
  readonly problem: Problem;
  readonly actions: PageActions;
}) {
  const text = PROBLEM_TEXTS[problem.type];
  return (
    <>
      <h1 tabIndex={-1}>{text.title}</h1>
      <p class="lead">{text.what}</p>
      <Detail problem={problem} />
      <h2>What to do</h2>
      <ol class="steps">
        {text.steps.map((step, index) => (
          <li key={step}>
            {step}
            {index === 0 && text.command !== undefined && <code class="block">{text.command}</code>}
          </li>
        ))}
      </ol>
      <div class="buttons">
        <Way way={text.way} actions={actions} />
      </div>
    </>
  );
}

function Detail({ problem }: { readonly problem: Problem }) {
  switch (problem.type) {
    case "unsupported":
      return <p class="note">Missing: {problem.missing.join(", ")}</p>;
    case "insecure":
      return <p class="note">Opened from {problem.origin}</p>;
    case "no-link":
    case "no-adapter":
      return null;
    default:
      return <p class="note">{problem.reason}</p>;
  }
}

function Way(
  { way, actions }: { readonly way: ProblemText["way"]; readonly actions: PageActions },
) {
  switch (way) {
    case "start-again":
      return (
        <>
          <button type="button" class="primary" onClick={() => actions.startAgain()}>
            Start again
          </button>
          <button type="button" class="quiet" onClick={() => actions.askAgain()}>
            Change settings
          </button>
        </>
      );
    case "ask-again":
      return (
        <button type="button" class="primary" onClick={() => actions.askAgain()}>
          Change settings
        </button>
      );
    case "reload":
      return (
        <button type="button" class="primary" onClick={() => location.reload()}>
          Look again
        </button>
      );
    case "none":
      return null;
  }
}
