import type { TextStore } from "./text_store.ts";

/**
 * That the person agreed, kept for one room in one tab, so that a reload goes on where it was.
 * Leaving takes it back.
 */
export class Consent {
  readonly #store: TextStore;
  readonly #key: string;

  /** `store` lives as long as the tab; `room` names the room that is joined. */
  constructor(store: TextStore, room: string) {
    this.#store = store;
    this.#key = `tessera.consent.${room}`;
  }

  get isGiven(): boolean {
    return this.#store.getItem(this.#key) === "yes";
  }

  give(): void {
    this.#store.setItem(this.#key, "yes");
  }

  takeBack(): void {
    this.#store.removeItem(this.#key);
  }
}
