import type { Problem } from "./problem.ts";

/** What a problem's screen says. */
export interface ProblemText {
  readonly title: string;
  /** What happened, in a sentence or two. */
  readonly what: string;
  /** What to do, one line each. */
  readonly steps: readonly string[];
  /** A command that a step names. */
  readonly command?: string;
  /** The way on from here: try once more, choose other settings, load the page anew, or none. */
  readonly way: "start-again" | "ask-again" | "reload" | "none";
}

const LINK_STEPS = [
  "Open the link exactly as you got it, with everything after the “#”.",
  "Or scan the QR code that the coordinator prints when it starts.",
];

/** One text for each problem. */
export const PROBLEM_TEXTS: Readonly<Record<Problem["type"], ProblemText>> = {
  unsupported: {
    title: "This browser cannot lend a GPU",
    what:
      "Computing happens through WebGPU and data moves over WebRTC, in newer browsers. This one lacks a part.",
    steps: [
      "Chrome or Edge: 137 or newer on Windows, macOS, ChromeOS and Android, 144 on Linux.",
      "Safari: 26 or newer, on Mac, iPhone and iPad.",
      "Firefox: 141 or newer on Windows, 145 on Macs with Apple silicon.",
      "Leave private browsing: some browsers keep no files there.",
    ],
    way: "reload",
  },
  insecure: {
    title: "This page was opened insecurely",
    what: "Browsers allow WebGPU, file storage and cryptography only over HTTPS, or on the same " +
      "computer as the coordinator. This address is neither.",
    steps: [
      "Ask the person who runs the coordinator to start it with TLS:",
      "Then open the new link, which starts with “https://”. The browser warns once about the " +
      "certificate, because the coordinator signed it itself.",
    ],
    command: "deno task run --tls self-signed",
    way: "none",
  },
  "no-link": {
    title: "This page needs a join link",
    what: "A join link says which mesh to join and holds its secret. This address has none.",
    steps: LINK_STEPS,
    way: "none",
  },
  "damaged-link": {
    title: "This join link is damaged",
    what: "Something of it is missing or was changed, perhaps by the program it was sent through.",
    steps: LINK_STEPS,
    way: "none",
  },
  "no-adapter": {
    title: "No GPU can be reached",
    what: "The browser has WebGPU but offers no adapter.",
    steps: [
      "Turn on “Use graphics acceleration when available” in the browser's settings.",
      "Update the graphics driver, then restart the browser.",
      "Chrome and Edge list what is blocked, and why, on the page “chrome://gpu”.",
    ],
    way: "reload",
  },
  unfit: {
    title: "This GPU cannot be used",
    what: "It failed to start or gave wrong results in the test that comes before any work.",
    steps: [
      "Update the graphics driver, then restart the browser.",
      "Try another browser on this device.",
    ],
    way: "start-again",
  },
  memory: {
    title: "Not enough GPU memory",
    what: "There was no room even for the short test that comes before any work.",
    steps: ["Close other pages and programs that use the GPU, then start again."],
    way: "start-again",
  },
  "device-lost": {
    title: "The GPU stopped",
    what: "The system took the GPU away: the driver restarted, the device slept, or another " +
      "program used it up. The mesh was told at once, and your layers go to others.",
    steps: ["Start again. What was downloaded is still here."],
    way: "start-again",
  },
  "device-lost-often": {
    title: "The GPU keeps stopping",
    what: "It was lost three times within ten minutes, so this page stopped asking for it.",
    steps: [
      "Close other pages and programs that use the GPU.",
      "Update the graphics driver, and let the device cool down.",
      "Then try once more, perhaps with less memory.",
    ],
    way: "ask-again",
  },
  refused: {
    title: "The mesh refused this device",
    what: "The coordinator answered but did not let this device in.",
    steps: [
      "If the link is old, ask for a new one.",
      "If the page is old, load it anew.",
    ],
    way: "start-again",
  },
};
