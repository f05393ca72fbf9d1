/**
 * Combining marks that came to Unicode after version 9, whose tables the Rust tokenizers use: to
 * them these are plain characters, which nothing is ordered around or composed with. Found by
 * comparing the two on every code point; tests/tokenizer/normalizer.test.ts does it again.
 */
const NEWER_MARKS =
  "\u07fd\u0897-\u089f\u08ca-\u08d3\u09fe\u0c3c\u0d3b-\u0d3c\u0eba\u1715\u1abf-\u1ace" +
  "\u1df6-\u1dfa\ua82c\u{10d24}-\u{10d27}\u{10d69}-\u{10d6d}\u{10eab}-\u{10eac}" +
  "\u{10efd}-\u{10eff}\u{10f46}-\u{10f50}\u{10f82}-\u{10f85}\u{11070}\u{1133b}" +
  "\u{113ce}-\u{113d0}\u{1145e}\u{11839}-\u{1183a}\u{1193d}-\u{1193e}\u{11943}\u{119e0}" +
  "\u{11a34}\u{11a47}\u{11a99}\u{11d42}\u{11d44}-\u{11d45}\u{11d97}\u{11f41}-\u{11f42}" +
  "\u{1612f}\u{16ff0}-\u{16ff1}\u{1e08f}\u{1e130}-\u{1e136}\u{1e2ae}\u{1e2ec}-\u{1e2ef}" +
  "\u{1e4ec}-\u{1e4ef}\u{1e5ee}-\u{1e5ef}";

const HAS_NEWER_MARK = new RegExp(`[${NEWER_MARKS}]`, "u");
const BETWEEN_NEWER_MARKS = new RegExp(`[^${NEWER_MARKS}]+`, "gu");

/** Unicode normalisation form C as the Rust tokenizers do it. */
export function normalizeNfc(text: string): string {
  if (!HAS_NEWER_MARK.test(text)) return text.normalize("NFC");
  return text.replace(BETWEEN_NEWER_MARKS, (part) => part.normalize("NFC"));
}
