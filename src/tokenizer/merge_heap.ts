const MAX_KEPT_KEYS = 1 << 16;

/** A smallest-first heap of numbers in one typed array. */
export class MergeHeap {
  #keys = new Float64Array(64);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Empties the heap, and gives back what a very large one had needed. */
  clear(): void {
    this.#size = 0;
    if (this.#keys.length > MAX_KEPT_KEYS) this.#keys = new Float64Array(64);
  }

  push(key: number): void {
    if (this.#size === this.#keys.length) {
      const grown = new Float64Array(this.#size * 2);
      grown.set(this.#keys);
      this.#keys = grown;
    }
    const keys = this.#keys;
    let child = this.#size++;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (keys[parent]! <= key) break;
      keys[child] = keys[parent]!;
      child = parent;
    }
    keys[child] = key;
  }

  /** Takes out the smallest key; the heap must not be empty. */
  pop(): number {
    const keys = this.#keys;
    const smallest = keys[0]!;
    const size = --this.#size;
    const key = keys[size]!;
    let parent = 0;
    for (let child = 1; child < size; child = 2 * parent + 1) {
      if (child + 1 < size && keys[child + 1]! < keys[child]!) child++;
      if (keys[child]! >= key) break;
      keys[parent] = keys[child]!;
      parent = child;
    }
    keys[parent] = key;
    return smallest;
  }
}
