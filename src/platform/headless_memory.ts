/**
 * Memory of a machine, for runtimes with Node's modules.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { freemem, totalmem } from "node:os";
import type { KnownMemory } from "./pledge.ts";

const NVIDIA_QUERY = ["--query-gpu=name,memory.free", "--format=csv,noheader,nounits"];
const NVIDIA_DEADLINE_MS = 5000;

/** What this machine has free; of NVIDIA's GPUs the one whose name is in `adapterName`. */
export async function headlessMemory(adapterName: string): Promise<KnownMemory> {
  const freeGpuBytes = /nvidia|geforce|quadro|tesla|rtx|gtx/i.test(adapterName)
    ? parseNvidiaFree(await nvidiaSmi(), adapterName)
    : null;
  const meminfo = await readFile("/proc/meminfo", "utf8").catch(() => "");
  return {
    systemBytes: totalmem(),
    freeSystemBytes: parseAvailable(meminfo) ?? freemem(),
    freeGpuBytes,
  };
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
