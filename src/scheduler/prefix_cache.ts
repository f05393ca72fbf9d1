/**
 * Blocks of sequences that run or ran, by the tokens before them: a radix tree of whole blocks. A
 * block in the tree is never written again, so any number of tables may hold it. Those that only
 * the tree holds are given out again, longest unused first, once no free ones are left.
 *
 * @module
 */
import { BLOCK_SIZE } from "../core.ts";
import { type BlockManager, numBlocksFor } from "./block_manager.ts";
import {
  addChild,
  createRoot,
  keyOf,
  longestPartialChild,
  type RadixNode,
  removeLeaf,
  tokensAfter,
} from "./radix_node.ts";
import { SavedStates } from "./saved_states.ts";

/** The longest prefix of a sequence that is there. */
export interface PrefixMatch {
  /** Deepest node whose whole path fits. */
  readonly node: RadixNode;
  /** Block that goes on with further tokens of the sequence but does not fit whole. */
  readonly tail: { readonly block: number; readonly numTokens: number } | null;
  /** Tokens that need not be computed, the tail's included. */
  readonly numTokens: number;
}

/** What holds a prefix: tokens, and blocks that cover at least those that are cached. */
export interface PrefixHolder {
  readonly tokenIds: readonly number[];
  /** Keys of the whole blocks of `tokenIds`, made when they are first asked for. */
  readonly blockKeys: string[];
  readonly blockTable: number[];
  /** Deepest node of its path that is in the tree. */
  prefixNode: RadixNode;
}

/** Fewer shared tokens of a block are not worth a copy of it. */
const MIN_TAIL_TOKENS = 4;

/** The tree over one KV pool, and the way to get and give back its blocks. */
export class PrefixCache {
  readonly states: SavedStates;
  readonly #blocks: BlockManager;
  /** By salt; one without children goes as soon as a leaf of it is evicted. */
  readonly #roots = new Map<string, RadixNode>();
  /** By block, of every block in the tree. */
  readonly #nodes = new Map<number, { readonly node: RadixNode; readonly salt: string }>();
  /** Blocks that only the tree holds, longest unused first; a child always before its parent. */
  readonly #idle = new Set<number>();

  constructor(blocks: BlockManager, numSavedStates: number) {
    this.#blocks = blocks;
    this.states = new SavedStates(numSavedStates);
  }

  /** Blocks that can be given out. */
  get numAvailableBlocks(): number {
    return this.#blocks.numFreeBlocks + this.#idle.size;
  }

  /** Blocks that only the tree holds. */
  get numIdleBlocks(): number {
    return this.#idle.size;
  }

  /**
   * The longest cached prefix, its last token excluded: there must be something to compute. Of a
   * model with linear attention, only as far as its state was saved.
   */
  match(sequence: Pick<PrefixHolder, "tokenIds" | "blockKeys">, salt: string): PrefixMatch {
    const numTokens = sequence.tokenIds.length - 1;
    let node = this.#roots.get(salt) ?? createRoot();
    let deepest = node;
    while ((node.depth + 1) * BLOCK_SIZE <= numTokens) {
      const child = node.children.get(blockKey(sequence, node.depth));
      if (child === undefined) break;
      node = child;
      if (node.savedState !== null) deepest = node;
    }
    if (this.states.isUsed) {
      return { node: deepest, tail: null, numTokens: deepest.depth * BLOCK_SIZE };
    }
    const rest = sequence.tokenIds.slice(node.depth * BLOCK_SIZE, numTokens).slice(0, BLOCK_SIZE);
    const partial = longestPartialChild(node, rest);
    const tail = partial !== null && partial.numTokens >= MIN_TAIL_TOKENS
      ? { block: partial.child.block, numTokens: partial.numTokens }
      : null;
    return { node, tail, numTokens: node.depth * BLOCK_SIZE + (tail?.numTokens ?? 0) };
  }

  /** Free blocks that `hold(match.node)` would leave, without those that it takes from idleness. */
  numAvailableBeside({ node }: PrefixMatch): number {
    let numTaken = 0;
    for (let at = node; at.parent !== null; at = at.parent) {
      if (this.#idle.has(at.block)) numTaken++;
    }
    return this.numAvailableBlocks - numTaken;
  }

  /** The blocks of a path in order, each with one more reference. */
  hold(node: RadixNode): number[] {
    const blocks: number[] = [];
    for (let at = node; at.parent !== null; at = at.parent) {
      this.#blocks.retain(at.block);
      this.#idle.delete(at.block);
      blocks.push(at.block);
    }
    return blocks.reverse();
  }

  /**
   * Appends blocks to `blockTable` until it covers `numTokens` positions, evicting what is longest
   * unused. Returns false, with nothing changed, when there are too few.
   */
  grow(blockTable: number[], numTokens: number): boolean {
    const numNew = numBlocksFor(numTokens) - blockTable.length;
    if (numNew > this.numAvailableBlocks) return false;
    for (let i = 0; i < numNew; i++) blockTable.push(this.#blocks.take() ?? this.#evict());
    return true;
  }

  /**
   * Puts the blocks that the first `numTokens` tokens fill into the tree. Where another sequence was
   * faster, the table gets the tree's block in place of its own.
   */
  insert(holder: PrefixHolder, { numTokens, salt }: { numTokens: number; salt: string }): void {
    const { tokenIds, blockTable } = holder;
    while ((holder.prefixNode.depth + 1) * BLOCK_SIZE <= numTokens) {
      // A root that was empty may have gone.
      const parent = holder.prefixNode.parent === null ? this.#root(salt) : holder.prefixNode;
      const block = blockTable[parent.depth]!;
      const key = blockKey(holder, parent.depth);
      let child = parent.children.get(key);
      if (child === undefined) {
        child = addChild(parent, { key, tokenIds: tokensAfter(parent, tokenIds), block });
        this.#nodes.set(block, { node: child, salt });
        this.#blocks.retain(block);
      } else if (child.block !== block) {
        this.#blocks.retain(child.block);
        this.#idle.delete(child.block);
        this.#blocks.release(block);
        blockTable[parent.depth] = child.block;
      }
      holder.prefixNode = child;
    }
  }

  /** Empties a table. What of it is in the tree stays there until its blocks are wanted. */
  release(blockTable: number[]): void {
    // Last block first: a child must be idle before its parent.
    for (let block = blockTable.pop(); block !== undefined; block = blockTable.pop()) {
      if (this.#blocks.release(block) === 1 && this.#nodes.has(block)) this.#idle.add(block);
    }
  }

  /**
   * Throws unless counts, tree and tables agree. `blockTables` are those of all sequences,
   * `reservedStates` the saved states that their steps in flight write.
   */
  checkIntegrity(
    blockTables: readonly (readonly number[])[],
    reservedStates: readonly number[] = [],
  ): void {
    this.#blocks.checkIntegrity([...blockTables, [...this.#nodes.keys()]]);
    const order = new Map([...this.#idle].map((block, i) => [block, i]));
    for (const [block, { node }] of this.#nodes) {
      const { parent } = node;
      assert(node.block === block && parent !== null, `Block "${block}" is not its node's`);
      assert(
        parent.children.get(keyOf(node.tokenIds)) === node,
        `Block "${block}" is cut off the tree`,
      );
      const isIdle = this.#blocks.numReferences(block) === 1;
      assert(order.has(block) === isIdle, `Block "${block}" is counted wrong among the idle`);
      if (!isIdle || parent.parent === null) continue;
      const [own, before] = [order.get(block)!, order.get(parent.block) ?? Infinity];
      assert(own < before, `Block "${parent.block}" would be evicted before its child`);
    }
    assert([...this.#idle].every((block) => this.#nodes.has(block)), "An idle block has no node");
    const isUsed = [...this.#roots.values()].every(({ children }) => children.size > 0);
    assert(isUsed, "A salt without blocks is remembered");
    this.states.checkIntegrity([...this.#nodes.values()].map(({ node }) => node), reservedStates);
  }

  #root(salt: string): RadixNode {
    let root = this.#roots.get(salt);
    if (root === undefined) this.#roots.set(salt, root = createRoot());
    return root;
  }

  /** Takes the block that is longest unused out of the tree. */
  #evict(): number {
    const [block] = this.#idle;
    const entry = block === undefined ? undefined : this.#nodes.get(block);
    if (block === undefined || entry === undefined) throw new Error("No idle block is left");
    const { node, salt } = entry;
    removeLeaf(node);
    this.states.drop(node);
    this.#idle.delete(block);
    this.#nodes.delete(block);
    if (node.parent?.parent === null && node.parent.children.size === 0) this.#roots.delete(salt);
    return block;
  }
}

/** The key of a sequence's whole block `index`. */
export function blockKey(
  { tokenIds, blockKeys }: Pick<PrefixHolder, "tokenIds" | "blockKeys">,
  index: number,
): string {
  // Tokens never change, so neither do keys; they are asked for at every step that has room.
  return blockKeys[index] ??= keyOf(
    tokenIds.slice(index * BLOCK_SIZE, (index + 1) * BLOCK_SIZE),
  );
}

function assert(isTrue: boolean, message: string): asserts isTrue {
  if (!isTrue) throw new Error(message);
}
