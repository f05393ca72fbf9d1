import { expect, it } from "vitest";
import { RealClient } from "./real_server.ts";
import { startSignaling } from "./signaling_process.ts";

it.each([["SIGINT", 130], ["SIGTERM", 0]] as const)(
  "deno task signaling serves until %s, says goodbye and ends with %i",
  async (signal, exitCode) => {
    const signaling = await startSignaling();
    expect(signaling.url).toMatch(/^ws:\/\/127\.0\.0\.1:\d+$/);
    const client = await RealClient.open(signaling.url);
    await client.settle();
    expect(await signaling.stop(signal)).toBe(exitCode);
    expect(await client.closed).toEqual({ code: 1001, reason: "The signaling server stops" });
  },
);

it("takes origins and limits from flags and from the environment", async () => {
  const signaling = await startSignaling(["--connections-per-address", "1"], {
    TESSERA_SIGNALING_ALLOW_ORIGIN: "https://a.example, https://b.example",
  });
  try {
    const open = (origin: string) => RealClient.open(signaling.url, { headers: { origin } });
    await expect(open("https://c.example")).rejects.toThrow("403");
    await open("https://b.example");
    await expect(open("https://a.example")).rejects.toThrow("429");
  } finally {
    await signaling.stop("SIGTERM");
  }
});
