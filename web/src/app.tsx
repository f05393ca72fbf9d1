import { useEffect, useRef } from "preact/hooks";
import { AdapterCard } from "./adapter_card.tsx";
import { announcementOf } from "./announcement.ts";
import { AskingScreen } from "./asking_screen.tsx";
import { Header } from "./header.tsx";
import { LeftScreen } from "./left_screen.tsx";
import type { PageActions } from "./lend_page.ts";
import { LendingScreen } from "./lending_screen.tsx";
import { ProblemScreen } from "./problem_screen.tsx";
import type { PageState } from "./state.ts";
import { StorageCard } from "./storage_card.tsx";
import { WaitingScreen } from "./waiting_screen.tsx";

/** The whole page for one state. */
export interface AppProps {
  readonly state: PageState;
  readonly actions: PageActions;
}

export function App({ state, actions }: AppProps) {
  const main = useRef<HTMLElement>(null);
  const screenType = state.screen.type;
  const lastType = useRef(screenType);
  const announcement = announcementOf(state);
  useEffect(() => {
    document.title = `${announcement.word} · Tessera`;
  }, [announcement.word]);
  useEffect(() => {
    // The button that led here is gone; its focus goes to the new heading.
    if (lastType.current !== screenType) main.current?.querySelector("h1")?.focus();
    lastType.current = screenType;
  }, [screenType]);
  const isAside = state.adapter !== null;
  return (
    <>
      <Header {...announcement} />
      <div class={isAside ? "columns" : "columns single"}>
        <main class="card" ref={main}>
          <Screen state={state} actions={actions} />
        </main>
        {isAside && (
          <aside class="aside" aria-label="This device">
            {state.adapter !== null && (
              <AdapterCard
                adapter={state.adapter}
                device={state.device}
                warnings={state.warnings}
              />
            )}
            <StorageCard
              storage={state.storage}
              note={state.storageNote}
              isInUse={screenType === "testing" || screenType === "lending"}
              onDelete={() => actions.deleteWeights()}
            />
          </aside>
        )}
      </div>
    </>
  );
}

function Screen({ state, actions }: AppProps) {
  switch (state.screen.type) {
    case "opening":
      return <WaitingScreen title="Looking at your GPU" text="This takes a moment." />;
    case "asking":
      return <AskingScreen state={state} actions={actions} />;
    case "testing":
      return (
        <WaitingScreen
          title="Testing your GPU"
          text="A short test that it computes right, and how fast. It takes a few seconds."
        />
      );
    case "lending":
      return <LendingScreen state={state} actions={actions} />;
    case "left":
      return <LeftScreen peer={state.peer} actions={actions} />;
    case "problem":
      return <ProblemScreen problem={state.screen.problem} actions={actions} />;
  }
}
