/** Who is subscribed to what. A topic lives for as long as it has members. */
export class Topics<Member> {
  readonly #members = new Map<string, Set<Member>>();

  /** Topics that have members. */
  get size(): number {
    return this.#members.size;
  }

  members(topic: string): ReadonlySet<Member> {
    return this.#members.get(topic) ?? new Set();
  }

  subscribe(topic: string, member: Member): void {
    const members = this.#members.get(topic);
    if (members) members.add(member);
    else this.#members.set(topic, new Set([member]));
  }

  unsubscribe(topic: string, member: Member): void {
    const members = this.#members.get(topic);
    members?.delete(member);
    if (members?.size === 0) this.#members.delete(topic);
  }

  entries(): IterableIterator<[string, ReadonlySet<Member>]> {
    return this.#members.entries();
  }
}
