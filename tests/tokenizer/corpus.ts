/** Strings that every tokenizer must agree on: hand-picked nasty ones, then seeded random ones. */

const HAND_PICKED: readonly string[] = [
  "",
  " ",
  "Hello, world!",
  "👩‍👩‍👧‍👦 👍🏽 🏳️‍🌈 🇩🇪🇫🇷 ❤️ 🙂🙂🙂",
  "日本語のテキスト。中文字符，標點「符號」한국어 텍스트입니다",
  "שלום עולם! مرحبا بالعالم ‏RTL‎ mark (עִבְרִית) ١٢٣٤٥",
  "e\u0301 é ä a\u0308 ﬁ ﬆ Å Å ḍ̇ q̣̇ Z̸̧̖a̡l̴g̶o̷",
  "function f(x) {\n\treturn x ** 2 + y[0] ?? z; // TODO: äöü\n}\r\n\r\n",
  "def f(self, *args, **kwargs):\n    if x != None and not (a <= b):\n        return {'k': [1, 2.5e-3]}\n",
  "<div class=\"a b\">&nbsp;&#x27;</div><!-- c --><script>let a='b\\n'</script>",
  "I'm you're it's don't we'll I'd they've I'M YOU'RE IT'S DON'T WE'LL I'D THEY'VE",
  "'ſ 'ſx x'ſt 'K 'Kelvin 'S 'T 'RE 'vE 'Ll ''s '' 's's 'sS I'' ’s ’ll",
  "1 12 123 1234 12345 1234567890 3.14159 1,000,000 ½ ² ³ ⅷ Ⅷ ① ٣ ४ 五 𝟘𝟙",
  "\u0000\u0001\u0002\u0007\b\u000b\f\u001b[31m\u007f\u0080\u0085\u009f\u00a0\u00ad",
  "a\u0000b\u0000\u0000c",
  "\u200b\u200c\u200d\u200e\u2028\u2029\u202a\u2060\u3000\ufeff \ufeffx\u1680y\u180ez",
  "\ud800 \udfff a\ud83d b\ude42 \ud83d\ud83d\ude42\ude42 \udc00\ud800",
  "\ufffd\ufffe\uffff\u{10ffff}\u{e0001}\u{f0000}",
  "a \n b\n\nc \n\n d\t\te\r\nf\r\rg  h   i    j",
  "   leading",
  "trailing   ",
  "\n\n\nnewlines\n\n\n",
  " \n \n \n",
  "\t \t \t",
  "a\u00a0\u00a0 b",
  "  \n  x",
  "\r\n \r\n",
  "x \r",
  " \u3000\u3000 y",
  "\u0085\u0085 a \u0085",
  "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
  "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>",
  "<|endoftext|><|endoftext|>x<|endoftext|> <|im_end|",
  "<|<|im_end|>|>",
  "<|im_start|><|im_start",
  '<think>\n\n</think>\n<tool_call>{"a": 1}</tool_call>',
  "<repo_name>a<file_sep>b<empty_output>",
  "Привет, мир! Ёжик ЇЖАК ĳ Ĳ ŉ ǅ ﷺ ﷽ ꧅ 𒐫 ௵",
  "नमस्ते दुनिया क्षत्रिय ภาษาไทย ພາສາລາວ မြန်မာ ខ្មែរ தமிழ் తెలుగు ಕನ್ನಡ සිංහල አማርኛ ᏣᎳᎩ",
  "ℝ∀x∈ℕ: ∑ᵢ₌₁ⁿ √x ≤ ∞ ⇒ ¬(p ∧ q) 𝕳𝖊𝖑𝖑𝖔 𝓗 ｆｕｌｌ ＡＢＣ １２３",
  "ΑΒΓαβγς ΣΊΣΥΦΟΣ İstanbul ıI ẞß ŒœÆæ ǄǆǅǈǇ",
  "https://example.com/a?b=c&d=%20#e user@example.com C:\\x\\y /usr/lib64 192.168.0.1:8080",
  "snake_case camelCase PascalCase SCREAMING_SNAKE kebab-case a.b.c::d->e",
  "!!!??? ... ---- ==== ____ ~~~ *** ((())) [[]] {{}} <<>> \"\"\" ''' ```",
  "x".repeat(1000),
  " ".repeat(777),
  "\n".repeat(500),
  "0".repeat(333),
  "é".repeat(200),
  "中".repeat(300),
  "🙂".repeat(200),
  "ab".repeat(400),
  "\t".repeat(99),
  "a ".repeat(200),
  " \n".repeat(100),
  "\r\n".repeat(100),
  "'s".repeat(50),
  "\u0301".repeat(60),
  "-".repeat(400),
  "antidisestablishmentarianism".repeat(20),
  "Donaudampfschifffahrtsgesellschaftskapitän".repeat(5),
  "สวัสดีชาวโลกยินดีต้อนรับ".repeat(10),
  "ACGT".repeat(200),
  "deadbeef0123456789".repeat(40),
];

const ALPHABETS: readonly string[] = [
  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
  "the quick brown fox jumps over the lazy dog 's 't 're 'll",
  "0123456789.,-+eE ",
  " \t\n\r\u00a0\u3000\u0085\u2028",
  "'sStTrReEvVmMlLdDſK ’",
  "{}[]()<>|&^%$#@!~`*+=_-/\\\"':;?,.",
  "àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿßſıİ",
  "aeiou\u0300\u0301\u0302\u0308\u0323\u0327\u0338\u20dd",
  "абвгдежзийклмнопрстуфхцчшщъыьэюяЁЇ",
  "שלוםעולםאבגדהَُِّْمرحبا٠١٢٣\u200f\u200e",
  "日本語中文漢字ひらがなカタカナ한국어、。「」",
  "नमस्तेภาษาไทยதமிழ்မြန်မာ",
  "🙂👍🏽👩‍👧🏳️‍🌈🇩🇪❤️\u200d\ufe0f𝟘𝕳𐍈𒐫",
  "\u0000\u0001\u001b\u007f\u0080\u009f\u00ad\u200b\u200d\u2060\ufeff\ufffd",
];

const SNIPPETS: readonly string[] = [
  "<|im_start|>",
  "<|im_end|>",
  "<|endoftext|>",
  "<|eot_id|>",
  "<|begin_of_text|>",
  "<think>",
  "</think>",
  "<tool_call>",
  "<repo_name>",
  "<|",
  "|>",
  "'s",
  "'LL",
  "'ſ",
  "\ud83d",
  "\ude42",
  "\r\n",
  "    ",
  "\n\n",
  " the",
  "ing",
  "12",
  "é",
  "한국",
  "👩‍👩‍👧‍👦",
  "http://",
  "::",
  "():\n",
];

/** A small seeded generator (mulberry32): uniform numbers in [0, 1). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What `nastyCorpus` may vary. */
export interface CorpusOptions {
  readonly seed?: number;
  /** Runs of random code points stay below this one. */
  readonly maxCodePoint?: number;
}

/** The hand-picked strings and `numRandom` random ones, the same for the same seed. */
export function nastyCorpus(numRandom: number, options: CorpusOptions = {}): string[] {
  const { seed = 1, maxCodePoint = 0x110000 } = options;
  const random = seededRandom(seed);
  const below = (bound: number) => Math.floor(random() * bound);
  const pick = <T>(choices: readonly T[]) => choices[below(choices.length)]!;
  const letters = ALPHABETS.map((alphabet) => [...alphabet]);

  function run(): string {
    const kind = random();
    if (kind < 0.15) return pick(SNIPPETS);
    if (kind < 0.22) return pick(pick(letters)).repeat(1 + below(60));
    if (kind < 0.27) return randomCodePoints(1 + below(6));
    const alphabet = pick(letters);
    return Array.from({ length: 1 + below(12) }, () => pick(alphabet)).join("");
  }
  /** Anything, assigned or not, lone surrogates too. */
  function randomCodePoints(length: number): string {
    const codePoints = Array.from(
      { length },
      () => below(Math.min(maxCodePoint, random() < 0.7 ? 0x3400 : 0x110000)),
    );
    return String.fromCodePoint(...codePoints);
  }
  const randomTexts = Array.from(
    { length: numRandom },
    () => Array.from({ length: 1 + below(10) }, run).join(random() < 0.3 ? " " : ""),
  );
  return [...HAND_PICKED, ...randomTexts];
}
