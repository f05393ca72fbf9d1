import { expect, test } from "vitest";
import { NodeProcesses } from "../../src/cli/node_processes.ts";

test("a node that cannot start is lost, with what it said last", async () => {
  const gpu = { backend: "auto" } as const;
  const nodes = await NodeProcesses.start({ count: 2, link: "http://localhost/", gpu });
  expect((await nodes.lost).message).toMatch(/^A node ended with 1: .*no part after "#"/);
  await nodes.close();
});

test("nodes that would wait for ever are ended", async () => {
  const gpu = { backend: "auto", adapter: "llvmpipe" } as const;
  // Nobody listens there.
  const link = "http://127.0.0.1:9/#v1.AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA";
  const nodes = await NodeProcesses.start({ count: 1, link, gpu });
  await nodes.close();
  expect((await nodes.lost).message).toContain("A node ended with");
});
