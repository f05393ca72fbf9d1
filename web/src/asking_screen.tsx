import { useState } from "preact/hooks";
import { formatMemory } from "./format.ts";
import type { PageActions } from "./lend_page.ts";
import { MemoryChoice } from "./memory_choice.tsx";
import { MAX_NAME_LENGTH, tidyName } from "./settings.ts";
import type { PageState } from "./state.ts";

/** What lending means, how much, and the button. Nothing was downloaded until it is pressed. */
export function AskingScreen({ state, actions }: {
  readonly state: PageState;
  readonly actions: PageActions;
}) {
  const [name, setName] = useState(state.settings.name);
  const [memoryBytes, setMemoryBytes] = useState(state.settings.memoryBytes);
  const submit = (event: Event) => {
    event.preventDefault();
    actions.lend({ name: tidyName(name) || state.settings.name, memoryBytes });
  };
  return (
    <>
      <h1 tabIndex={-1}>Lend this GPU to a mesh</h1>
      <p class="lead">
        Whoever sent you this link runs a language model across several devices. Yours would hold a
        few of its layers and compute them while this page is open.
      </p>
      {state.adapter?.isSoftware && (
        <p class="alert" role="alert">
          <strong>No GPU was found, only its imitation in software.</strong>{" "}
          It works, but at a small fraction of a GPU's speed, and the processor does all the work.
          If this device has a GPU, turn on graphics acceleration in the browser's settings first.
        </p>
      )}
      <form onSubmit={submit}>
        <MemoryChoice
          range={state.memory}
          quotaBytes={state.storage?.quotaBytes ?? null}
          value={memoryBytes}
          onChange={setMemoryBytes}
        />
        <label class="field">
          <span>Name of this device</span>
          <input
            type="text"
            value={name}
            maxLength={MAX_NAME_LENGTH}
            autocomplete="off"
            aria-describedby="name-hint"
            onInput={(event) => setName(event.currentTarget.value)}
          />
          <small id="name-hint">The others in the mesh see it.</small>
        </label>
        <button type="submit" class="big">Lend my GPU</button>
      </form>
      <ul class="terms">
        <li>Downloads up to {formatMemory(memoryBytes)} of weights and keeps them here.</li>
        <li>Runs only while this page is open. Pause or leave with one click.</li>
        <li>Needs no account and installs nothing. It cannot see your files.</li>
        <li>Devices in the mesh see each other's network address and the numbers they compute.</li>
      </ul>
    </>
  );
}
