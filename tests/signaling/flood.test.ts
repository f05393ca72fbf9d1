import { expect, it } from "vitest";
import { measureFlood } from "./flood.ts";

const SECONDS = 1;

/** Includes the second that a client has to hang up in its turn. */
const SECONDS_WITH_CLOSE = 2;

it.each(["messages", "pings"] as const)(
  "a client that floods with %s is hung up on, another in its room gets every answer",
  async (kind) => {
    const { numAsked, numAnswered, flooder } = await measureFlood({
      kind,
      seconds: SECONDS_WITH_CLOSE,
    });
    expect(numAsked).toBeGreaterThan(0);
    expect(numAnswered).toBe(numAsked);
    expect(flooder.numConnections).toBeGreaterThan(1);
  },
);

it("a client that floods with long messages is read no faster than it may send", async () => {
  const { numAsked, numAnswered, flooder } = await measureFlood({
    kind: "frames",
    seconds: SECONDS,
  });
  expect(numAnswered).toBe(numAsked);
  // A burst of 1 MiB, 256 KiB/s, and what the system keeps for both ends of a connection.
  expect(flooder.numBytes / flooder.numConnections).toBeLessThan(12e6);
});

it("a client that comes again for another burst is turned down most of the time", async () => {
  const { numAsked, numAnswered, flooder } = await measureFlood({
    kind: "bursts",
    seconds: SECONDS,
  });
  expect(numAnswered).toBe(numAsked);
  expect(flooder.numConnections).toBeLessThanOrEqual(40);
  expect(flooder.numTurnedDown).toBeGreaterThan(0);
});
