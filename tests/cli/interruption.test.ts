import { expect, test } from "vitest";

const PROGRAM = `
  const { interruption } = await import("./src/cli/interruption.ts");
  const stop = interruption("Saying goodbye");
  const alive = setInterval(() => {}, 1000);
  console.log("listening", stop.isRequested);
  await stop.requested;
  console.log("asked", stop.isRequested);
  if (Deno.args[0] === "stubborn") await new Promise(() => {});
  stop.end();
  clearInterval(alive);
  Deno.exitCode = 7;
`;

/** Runs the program; `signals` go out, one after each line that it prints. */
async function run(signals: readonly Deno.Signal[], ...args: string[]) {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", PROGRAM, ...args],
    stdout: "piped",
    stderr: "piped",
    stdin: "null",
  }).spawn();
  const lines: string[] = [];
  const left = [...signals];
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    for (const line of text.split("\n").filter((line) => line !== "")) {
      lines.push(line);
      const signal = left.shift();
      if (signal !== undefined) child.kill(signal);
    }
  }
  const stderr = await new Response(child.stderr).text();
  const { code } = await child.status;
  return { lines, code, stderr };
}

test("the first signal asks, and the program ends as it likes", async () => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    const { lines, code, stderr } = await run([signal]);
    expect(lines).toEqual(["listening false", "asked true"]);
    expect(stderr).toBe("Saying goodbye\n");
    expect(code).toBe(7);
  }
});

test("the second signal ends a program that goes on", async () => {
  const { lines, code } = await run(["SIGINT", "SIGTERM"], "stubborn");
  expect(lines).toEqual(["listening false", "asked true"]);
  expect(code).toBe(130);
});
