import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  headlessMemory,
  parseAvailable,
  parseNvidiaFree,
  readAmdFree,
} from "../../src/platform/headless_memory.ts";
import { defaultPledgeBytes, type KnownMemory } from "../../src/platform/pledge.ts";

const GIB = 1024 ** 3;
const UNKNOWN: KnownMemory = { systemBytes: null, freeSystemBytes: null, freeGpuBytes: null };

function adapter({ heaps }: { heaps?: readonly { size: number; properties: number }[] } = {}) {
  return { info: heaps === undefined ? {} : { memoryHeaps: heaps } } as unknown as GPUAdapter;
}

test.each([
  ["a software adapter lends half of the free memory", true, { freeSystemBytes: 10 * GIB }, 5],
  ["a software adapter in a browser lends 4 GiB", true, {}, 4],
  ["a GPU lends 60 % of its free memory", false, { freeGpuBytes: 10 * GIB }, 6],
  ["an unknown GPU lends 4 GiB", false, { freeSystemBytes: 64 * GIB, systemBytes: 64 * GIB }, 4],
  ["a phone of 4 GiB lends 60 % of them", false, { systemBytes: 4 * GIB }, 2.4],
])("%s", (_, isSoftware, known, gib) => {
  const bytes = defaultPledgeBytes({ adapter: adapter(), isSoftware }, { ...UNKNOWN, ...known });
  expect(bytes).toBe(Math.floor(gib * GIB));
});

test("memory heaps count where the adapter lists them: the largest on the device", () => {
  const heaps = [
    { size: 64 * GIB, properties: 2 },
    { size: 1 * GIB, properties: 3 },
    { size: 20 * GIB, properties: 1 },
  ];
  const choice = { adapter: adapter({ heaps }), isSoftware: false };
  expect(defaultPledgeBytes(choice, UNKNOWN)).toBe(12 * GIB);
  const hostOnly = { adapter: adapter({ heaps: heaps.slice(0, 1) }), isSoftware: false };
  expect(defaultPledgeBytes(hostOnly, UNKNOWN)).toBe(4 * GIB);
});

test("parseNvidiaFree() takes the GPU of that name, and the least of several", () => {
  const text = "NVIDIA H100 80GB HBM3, 80000\nNVIDIA A2, 15000\nNVIDIA A2, 9000\n";
  expect(parseNvidiaFree(text, "NVIDIA H100 80GB HBM3 | driver 580")).toBe(80_000 * 1024 ** 2);
  expect(parseNvidiaFree(text, "NVIDIA A2")).toBe(9000 * 1024 ** 2);
  expect(parseNvidiaFree(text, "GeForce")).toBe(9000 * 1024 ** 2);
  expect(parseNvidiaFree("No devices were found\n", "NVIDIA A2")).toBeNull();
});

test("readAmdFree() takes the card with the least, of those with memory of their own", async () => {
  const folder = await mkdtemp(join(tmpdir(), "cards-"));
  const addCard = async (name: string, totalBytes: number, usedBytes: number | null) => {
    const device = join(folder, name, "device");
    await mkdir(device, { recursive: true });
    await writeFile(join(device, "mem_info_vram_total"), `${totalBytes}\n`);
    if (usedBytes !== null) await writeFile(join(device, "mem_info_vram_used"), `${usedBytes}\n`);
  };
  expect(await readAmdFree(folder)).toBeNull();
  await addCard("card0", 512 * 1024 ** 2, 0);
  await addCard("card1-DP-1", 24 * GIB, 23 * GIB);
  await addCard("card2", 8 * GIB, null);
  await mkdir(join(folder, "card3"));
  expect(await readAmdFree(folder)).toBeNull();
  await addCard("card4", 24 * GIB, 4 * GIB);
  expect(await readAmdFree(folder)).toBe(20 * GIB);
  await addCard("card5", 16 * GIB, GIB);
  expect(await readAmdFree(folder)).toBe(15 * GIB);
  await rm(folder, { recursive: true });
  expect(await readAmdFree(folder)).toBeNull();
});

test("parseAvailable() reads /proc/meminfo", () => {
  expect(parseAvailable("MemTotal:  8 kB\nMemAvailable:    6000 kB\n")).toBe(6000 * 1024);
  expect(parseAvailable("")).toBeNull();
});

test("this machine has memory", async () => {
  const { systemBytes, freeSystemBytes, freeGpuBytes } = await headlessMemory("llvmpipe");
  expect(freeSystemBytes).toBeGreaterThan(0);
  expect(freeSystemBytes!).toBeLessThanOrEqual(systemBytes!);
  expect(freeGpuBytes).toBeNull();
});
