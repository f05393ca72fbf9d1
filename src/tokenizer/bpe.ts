import type { Alphabet } from "./alphabet.ts";
import { MergeHeap } from "./merge_heap.ts";
import type { MergeTable } from "./merge_table.ts";

/** Longest piece, in UTF-16 units, whose ids are remembered. */
const MAX_CACHED_LENGTH = 32;
/** Pieces remembered before the cache starts over. */
const MAX_CACHED_PIECES = 1 << 16;
/** Working memory that stays between pieces, in symbols. */
const MAX_KEPT_SYMBOLS = 1 << 16;
/** Heap keys are `rank * POSITIONS + position`: lowest rank first, leftmost on a tie. */
const POSITIONS = 2 ** 32;

/** What a BPE model is made of. */
export interface BpeParts {
  readonly alphabet: Alphabet;
  readonly merges: MergeTable;
  /** Pieces that are a token as they stand skip merging (`ignore_merges`); null: none do. */
  readonly wholePieces: ReadonlyMap<string, number> | null;
  /** Symbols that are no token by themselves, and the tokens to write for one left unmerged. */
  readonly spellings?: ReadonlyMap<number, readonly number[]>;
}

/**
 * Byte-pair encoding of one piece in O(n log n): a linked list of symbols and a heap of candidate
 * merges. The library's needs some 5 s for 1 MiB of one letter, and loads in twice the time.
 */
export class Bpe {
  readonly #parts: BpeParts;
  readonly #cache = new Map<string, readonly number[]>();
  readonly #heap = new MergeHeap();
  #longestWhole = 0;
  #symbols = new Int32Array(256);
  #next = new Int32Array(256);
  #previous = new Int32Array(256);

  constructor(parts: BpeParts) {
    this.#parts = parts;
    for (const token of parts.wholePieces?.keys() ?? []) {
      this.#longestWhole = Math.max(this.#longestWhole, token.length);
    }
  }

  /** Appends the token ids of a well-formed piece to `ids`. */
  encode(piece: string, ids: number[]): void {
    if (piece.length > MAX_CACHED_LENGTH) return this.#encode(piece, ids);
    let cached = this.#cache.get(piece);
    if (cached === undefined) {
      const fresh: number[] = [];
      this.#encode(piece, fresh);
      cached = fresh;
      if (this.#cache.size === MAX_CACHED_PIECES) this.#cache.clear();
      this.#cache.set(piece, cached);
    }
    for (let i = 0; i < cached.length; i++) ids.push(cached[i]!);
  }

  #encode(piece: string, ids: number[]): void {
    const { alphabet, wholePieces, spellings } = this.#parts;
    if (piece.length <= this.#longestWhole) {
      const wholeId = wholePieces?.get(alphabet.spell(piece));
      if (wholeId !== undefined) {
        ids.push(wholeId);
        return;
      }
    }
    this.#reserve(piece.length * 3);
    const count = alphabet.write(piece, this.#symbols);
    if (count === 0) return;
    this.#merge(count);
    for (let i = 0; i < count; i = this.#next[i]!) {
      const symbol = this.#symbols[i]!;
      const spelling = spellings?.get(symbol);
      if (spelling === undefined) ids.push(symbol);
      else for (const id of spelling) ids.push(id);
    }
  }

  #merge(count: number): void {
    const { merges } = this.#parts;
    const symbols = this.#symbols, next = this.#next, previous = this.#previous, heap = this.#heap;
    heap.clear();
    for (let i = 0; i < count; i++) {
      next[i] = i + 1;
      previous[i] = i - 1;
    }
    for (let i = 0; i + 1 < count; i++) this.#propose(i, i + 1);
    while (heap.size > 0) {
      const key = heap.pop();
      const rank = Math.floor(key / POSITIONS);
      const left = key - rank * POSITIONS;
      const right = next[left]!;
      // A symbol swallowed by its left neighbour is -1, so that what was proposed for it finds
      // no merge. What was proposed before a neighbour grew has another rank than the pair now.
      if (symbols[left]! < 0 || right >= count) continue;
      const handle = merges.find(symbols[left]!, symbols[right]!);
      if (handle < 0 || merges.rank(handle) !== rank) continue;
      symbols[left] = merges.mergedId(handle);
      symbols[right] = -1;
      const after = next[right]!;
      next[left] = after;
      if (after < count) {
        previous[after] = left;
        this.#propose(left, after);
        // What `right` had kept waiting in a run of equal symbols.
        const second = next[after]!;
        if (second < count && symbols[after] === symbols[second]) this.#propose(after, second);
      }
      if (previous[left]! >= 0) this.#propose(previous[left]!, left);
    }
  }

  /**
   * Adds a candidate merge, but of overlapping equal ones, as in a run of one letter, only the
   * leftmost: the others cannot come before it, and a heap of a whole run would be slow.
   */
  #propose(left: number, right: number): void {
    const symbols = this.#symbols;
    const symbol = symbols[left]!;
    if (symbol === symbols[right] && symbol === symbols[this.#previous[left]!]) return;
    const handle = this.#parts.merges.find(symbol, symbols[right]!);
    if (handle >= 0) this.#heap.push(this.#parts.merges.rank(handle) * POSITIONS + left);
  }

  /** Makes room, and gives back what a very long piece had needed. */
  #reserve(numSymbols: number): void {
    const room = this.#symbols.length;
    if (room >= numSymbols && room <= MAX_KEPT_SYMBOLS) return;
    this.#symbols = new Int32Array(numSymbols);
    this.#next = new Int32Array(numSymbols);
    this.#previous = new Int32Array(numSymbols);
  }
}
