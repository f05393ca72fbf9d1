import type { PeerView } from "../../src/peer/peer_view.ts";
import { layersText } from "./held_layers.ts";
import { PROBLEM_TEXTS } from "./problem_texts.ts";
import type { PageState } from "./state.ts";

/** What the page is doing, in two forms. */
export interface Announcement {
  /** A word or two, for the corner of the page and its title. */
  readonly word: string;
  /** For screen readers. Changes with the state, never with a figure. */
  readonly sentence: string;
  readonly tone: "calm" | "busy" | "good" | "bad";
}

/** What to call the present state. */
export function announcementOf({ screen, peer }: PageState): Announcement {
  switch (screen.type) {
    case "opening":
      return { word: "Looking", sentence: "Looking for a GPU", tone: "busy" };
    case "asking":
      return { word: "Not lending", sentence: "Ready to lend this GPU", tone: "calm" };
    case "testing":
      return { word: "Testing", sentence: "Testing and measuring the GPU", tone: "busy" };
    case "left":
      return { word: "Not lending", sentence: "You left the mesh", tone: "calm" };
    case "problem":
      return {
        word: "Stopped",
        sentence: PROBLEM_TEXTS[screen.problem.type].title,
        tone: "bad",
      };
    case "lending":
      return peer === null
        ? { word: "Connecting", sentence: "Connecting to the mesh", tone: "busy" }
        : announcementOfPeer(peer);
  }
}

function announcementOfPeer(peer: PeerView): Announcement {
  switch (peer.state) {
    case "connecting":
      return { word: "Connecting", sentence: "Connecting to the mesh", tone: "busy" };
    case "waiting":
      return { word: "Waiting", sentence: "Connected, waiting for layers", tone: "busy" };
    case "loading":
      return {
        word: "Downloading",
        sentence: `Downloading ${layersText(peer)}`,
        tone: "busy",
      };
    case "serving":
      return { word: "Serving", sentence: `Serving ${layersText(peer)}`, tone: "good" };
    case "paused":
      return { word: "Paused", sentence: "Paused, the GPU is idle", tone: "calm" };
    case "coordinator-gone":
      return {
        word: "Reconnecting",
        sentence: "The coordinator is out of reach, trying again",
        tone: "bad",
      };
    case "refused":
      return { word: "Stopped", sentence: "The mesh refused this device", tone: "bad" };
    case "left":
      return { word: "Not lending", sentence: "You left the mesh", tone: "calm" };
  }
}
