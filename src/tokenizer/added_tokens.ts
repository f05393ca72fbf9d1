/** A token that is found in a text as it stands, before anything else is done to the text. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** A control token: it has no text of its own. */
  readonly isSpecial: boolean;
  /** Found in the normalised text, not in the text as given. */
  readonly isNormalized: boolean;
  /** Found only where no word continues on either side. */
  readonly isSingleWord: boolean;
  /** Takes the white space before it, after it. */
  readonly stripsLeft: boolean;
  readonly stripsRight: boolean;
}

/** A stretch of text between added tokens, or the id of one. */
export type Section = { readonly text: string; readonly start: number } | number;

const WORD = "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]";
const ENDS_WITH_WORD = new RegExp(`${WORD}$`, "u");
const STARTS_WITH_WORD = new RegExp(`^${WORD}`, "u");
const LEADING_SPACE = /^\p{White_Space}*/u;
const SPACE = /\p{White_Space}/u;

interface TrieNode {
  readonly children: Map<number, TrieNode>;
  token: AddedToken | null;
}

/** Finds added tokens in a text: leftmost first, the longest of several at one place. */
export class AddedTokenSplitter {
  readonly #root: TrieNode = { children: new Map(), token: null };

  constructor(tokens: Iterable<AddedToken>) {
    for (const token of tokens) this.#insert(token);
  }

  /** Cuts `text` into sections, in order, none of them empty. */
  split(text: string): Section[] {
    const sections: Section[] = [];
    let end = 0;
    for (let at = 0; at < text.length;) {
      const token = this.#longestAt(text, at);
      if (token === null) {
        at++;
        continue;
      }
      const matchEnd = at + token.content.length;
      if (token.isSingleWord && !isSingleWord(text, at, matchEnd)) {
        at = matchEnd;
        continue;
      }
      let start = at;
      while (token.stripsLeft && start > end && SPACE.test(text.charAt(start - 1))) start--;
      if (start > end) sections.push({ text: text.slice(end, start), start: end });
      sections.push(token.id);
      at = matchEnd;
      end = matchEnd;
      if (token.stripsRight) end += LEADING_SPACE.exec(text.slice(matchEnd))![0].length;
    }
    if (end < text.length) sections.push({ text: text.slice(end), start: end });
    return sections;
  }

  #insert(token: AddedToken): void {
    if (token.content === "") return;
    let node = this.#root;
    for (let i = 0; i < token.content.length; i++) {
      const unit = token.content.charCodeAt(i);
      let child = node.children.get(unit);
      if (child === undefined) {
        child = { children: new Map(), token: null };
        node.children.set(unit, child);
      }
      node = child;
    }
    node.token = token;
  }

  #longestAt(text: string, at: number): AddedToken | null {
    let longest: AddedToken | null = null;
    let node = this.#root.children.get(text.charCodeAt(at));
    for (let i = at + 1; node !== undefined; i++) {
      if (node.token !== null) longest = node.token;
      node = node.children.get(text.charCodeAt(i));
    }
    return longest;
  }
}

function isSingleWord(text: string, start: number, end: number): boolean {
  return !ENDS_WITH_WORD.test(text.slice(Math.max(0, start - 2), start)) &&
    !STARTS_WITH_WORD.test(text.slice(end, end + 2));
}
