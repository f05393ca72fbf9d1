import { useState } from "preact/hooks";

/** Asks for the coordinator's API key. */
export function ApiKeyScreen({ isWrong, onKey }: {
  /** One was given and not accepted. */
  readonly isWrong: boolean;
  readonly onKey: (key: string) => void;
}) {
  const [key, setKey] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    onKey(key.trim());
  };
  return (
    <>
      <h1 tabIndex={-1}>This mesh is private</h1>
      <p class="lead">
        To see it and let devices join, give the API key that its coordinator was started with. To
        lend a GPU, open the join link instead: it needs no key.
      </p>
      {isWrong && <p class="alert" role="alert">That key was not accepted.</p>}
      <form onSubmit={submit}>
        <label class="field">
          <span>API key</span>
          <input
            type="password"
            value={key}
            required
            autocomplete="current-password"
            onInput={(event) => setKey(event.currentTarget.value)}
          />
        </label>
        <button type="submit" class="big">Show the mesh</button>
      </form>
    </>
  );
}
