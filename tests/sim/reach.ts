/** How often something happened in a batch of runs. */
export class Reach {
  readonly counts = new Map<string, number>();

  count(what: string, times = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + times);
  }

  add(counts: Iterable<readonly [string, number]>): void {
    for (const [what, times] of counts) this.count(what, times);
  }
}
