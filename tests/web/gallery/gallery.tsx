/** Shows the state named in the address; keeps the names of the actions that were taken. */
import { render } from "preact";
import { App } from "../../../web/src/app.tsx";
import type { PageActions } from "../../../web/src/lend_page.ts";
import "../../../web/src/style.css";
import { PAGE_STATES } from "../page_states.ts";

const taken: string[] = [];
const actions: PageActions = {
  lend: ({ name, memoryBytes }) => taken.push(`lend ${name} ${memoryBytes}`),
  pause: () => taken.push("pause"),
  resume: () => taken.push("resume"),
  leave: () => taken.push("leave"),
  startAgain: () => taken.push("startAgain"),
  askAgain: () => taken.push("askAgain"),
  deleteWeights: () => taken.push("deleteWeights"),
};

function show(name: string): void {
  const state = PAGE_STATES[name];
  if (state === undefined) throw new Error(`There is no state "${name}"`);
  render(<App state={state} actions={actions} />, document.getElementById("app")!);
}

Object.assign(globalThis, { show, taken });
show(location.hash.slice(1) || "opening");
