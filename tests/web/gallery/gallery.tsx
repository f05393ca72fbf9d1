/** Shows the state named in the address; keeps the names of the actions that were taken. */
import { render } from "preact";
import { App } from "../../../web/src/app.tsx";
import type { PageActions } from "../../../web/src/lend_page.ts";
import { MeshPage } from "../../../web/src/mesh_page.tsx";
import "../../../web/src/style.css";
import { MESH_STATES } from "../mesh_states.ts";
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
  render(<Screen name={name} />, document.getElementById("app")!);
}

function Screen({ name }: { readonly name: string }) {
  const mesh = MESH_STATES[name];
  if (mesh !== undefined) {
    return <MeshPage state={mesh} onKey={(key) => taken.push(`key ${key}`)} />;
  }
  const state = PAGE_STATES[name];
  if (state === undefined) throw new Error(`There is no state "${name}"`);
  return <App state={state} actions={actions} />;
}

Object.assign(globalThis, { show, taken });
show(location.hash.slice(1) || "opening");
