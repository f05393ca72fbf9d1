import { BLOCK_SIZE } from "../core.ts";

/** One whole block of a token prefix; the path from the root is the prefix. */
export interface RadixNode {
  /** KV block that holds these tokens; -1 at a root. */
  readonly block: number;
  /** [BLOCK_SIZE] The block's tokens; empty at a root. */
  readonly tokenIds: readonly number[];
  readonly parent: RadixNode | null;
  /** Blocks on the path down to this one; 0 at a root. */
  readonly depth: number;
  /** By all tokens of the child's block. */
  readonly children: Map<string, RadixNode>;
  /** Saved state of linear attention after this block, if any. */
  savedState: number | null;
}

/** A child of `node` that shares leading tokens, fewer than a whole block, with what follows. */
export interface PartialChild {
  readonly child: RadixNode;
  readonly numTokens: number;
}

/** Children that are compared for a partial match. */
const MAX_COMPARED = 64;

export function createRoot(): RadixNode {
  return { block: -1, tokenIds: [], parent: null, depth: 0, children: new Map(), savedState: null };
}

/** Adds a child for a block that `parent` has no child for; `key` is that of its tokens. */
export function addChild(
  parent: RadixNode,
  { key, tokenIds, block }: {
    readonly key: string;
    readonly tokenIds: readonly number[];
    readonly block: number;
  },
): RadixNode {
  const child = {
    ...{ block, tokenIds, parent, depth: parent.depth + 1 },
    children: new Map(),
    savedState: null,
  };
  parent.children.set(key, child);
  return child;
}

/** Removes a node without children from its parent. */
export function removeLeaf(node: RadixNode): void {
  if (node.children.size > 0) throw new Error(`Block "${node.block}" has children in the tree`);
  node.parent?.children.delete(keyOf(node.tokenIds));
}

/** Tokens of the block after `node` in a sequence; fewer at its end. */
export function tokensAfter(node: RadixNode, tokenIds: readonly number[]): readonly number[] {
  return tokenIds.slice(node.depth * BLOCK_SIZE, (node.depth + 1) * BLOCK_SIZE);
}

/** The child that shares most leading tokens, at least one, with `tokenIds`. */
export function longestPartialChild(
  node: RadixNode,
  tokenIds: readonly number[],
): PartialChild | null {
  let longest: PartialChild | null = null;
  let numCompared = 0;
  for (const child of node.children.values()) {
    if (numCompared++ === MAX_COMPARED) break;
    let numTokens = 0;
    while (numTokens < tokenIds.length && child.tokenIds[numTokens] === tokenIds[numTokens]) {
      numTokens++;
    }
    if (numTokens > (longest?.numTokens ?? 0)) longest = { child, numTokens };
  }
  return longest;
}

/** What children are found by: the tokens of a whole block, as text. */
export function keyOf(tokenIds: readonly number[]): string {
  return tokenIds.join();
}
