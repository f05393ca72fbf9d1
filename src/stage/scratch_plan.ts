/** Which buffers the kernels of a step work in. */
export interface ScratchPlan {
  /** Bytes of each buffer. */
  readonly sizes: readonly number[];
  /** Index of the buffer that a name stands for. */
  readonly places: Readonly<Record<string, number>>;
}

/**
 * Lets blocks of kernels that run one after the other share buffers: given the bytes by name of each
 * block, the largest buffers of all blocks are one, then the next largest, and so on. Names of one
 * block never share, since a dispatch may bind any of them. A name that several blocks have keeps a
 * buffer of its own.
 */
export function planScratch(blocks: readonly Readonly<Record<string, number>>[]): ScratchPlan {
  const sizes: number[] = [];
  const places: Record<string, number> = {};
  const place = (name: string, index: number, sizeBytes: number) => {
    places[name] = index;
    sizes[index] = Math.max(sizes[index] ?? 0, sizeBytes);
  };
  const isCommon = (name: string) =>
    blocks.filter((block) => Object.hasOwn(block, name)).length > 1;
  for (const block of blocks) {
    Object.entries(block).filter(([name]) => !isCommon(name))
      .sort(([, a], [, b]) => b - a)
      .forEach(([name, sizeBytes], index) => place(name, index, sizeBytes));
  }
  for (const block of blocks) {
    for (const [name, sizeBytes] of Object.entries(block)) {
      if (isCommon(name)) place(name, places[name] ?? sizes.length, sizeBytes);
    }
  }
  return { sizes, places };
}
