/**
 * Memory of a machine, for runtimes with Node's modules.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { freemem, totalmem } from "node:os";
import { join } from "node:path";
import type { KnownMemory } from "./pledge.ts";

const NVIDIA_QUERY = ["--query-gpu=name,memory.free", "--format=csv,noheader,nounits"];
const NVIDIA_DEADLINE_MS = 5000;
/** Where Linux shows graphics cards. */
const CARDS_FOLDER = "/sys/class/drm";
/** A GPU with less of its own works in main memory: this is the part that firmware set aside. */
const LEAST_OWN_BYTES = 2 * 1024 ** 3;

/** What this machine has free; of NVIDIA's GPUs the one whose name is in `adapterName`. */
export async function headlessMemory(adapterName: string): Promise<KnownMemory> {
  const freeGpuBytes = await freeGpuMemory(adapterName);
  const meminfo = await readFile("/proc/meminfo", "utf8").catch(() => "");
  return {
    systemBytes: totalmem(),
    freeSystemBytes: parseAvailable(meminfo) ?? freemem(),
    freeGpuBytes,
  };
}

async function freeGpuMemory(adapterName: string): Promise<number | null> {
  if (/nvidia|geforce|quadro|tesla|rtx|gtx/i.test(adapterName)) {
    return parseNvidiaFree(await nvidiaSmi(), adapterName);
  }
  return /amd|radeon|radv/i.test(adapterName) ? await readAmdFree(CARDS_FOLDER) : null;
}

/**
 * Free bytes of the card with the least, as the amdgpu driver counts them under `folder`; null where
 * there is none with memory of its own.
 */
export async function readAmdFree(folder: string): Promise<number | null> {
  const cards = await readdir(folder).catch((): string[] => []);
  const free: number[] = [];
  for (const card of cards.filter((name) => /^card\d+$/.test(name))) {
    const read = async (what: string) =>
      Number(await readFile(join(folder, card, "device", what), "utf8").catch(() => NaN));
    const totalBytes = await read("mem_info_vram_total");
    const freeBytes = totalBytes - await read("mem_info_vram_used");
    if (totalBytes >= LEAST_OWN_BYTES && freeBytes >= 0) free.push(freeBytes);
  }
  return free.length === 0 ? null : Math.min(...free);
}

/** Bytes of "MemAvailable", which counts caches that the kernel would give up; null without one. */
export function parseAvailable(meminfo: string): number | null {
  const [, kibibytes] = /^MemAvailable:\s+(\d+) kB$/m.exec(meminfo) ?? [];
  return kibibytes === undefined ? null : Number(kibibytes) * 1024;
}

/**
 * Free bytes of the GPU named in `adapterName`, the least where several have the name or none has;
 * null when the text lists none.
 */
export function parseNvidiaFree(text: string, adapterName: string): number | null {
  const gpus = [...text.matchAll(/^(.+), *(\d+)\s*$/gm)]
    .map(([, name = "", mebibytes]) => ({ name, bytes: Number(mebibytes) * 1024 ** 2 }));
  const named = gpus.filter(({ name }) => adapterName.includes(name));
  const free = (named.length > 0 ? named : gpus).map(({ bytes }) => bytes);
  return free.length === 0 ? null : Math.min(...free);
}

/** What the driver's own program says; empty where there is none. */
function nvidiaSmi(): Promise<string> {
  return new Promise((resolve) => {
    execFile("nvidia-smi", NVIDIA_QUERY, { timeout: NVIDIA_DEADLINE_MS }, (error, stdout) => {
      resolve(error === null ? stdout : "");
    });
  });
}
