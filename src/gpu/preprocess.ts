/**
 * All the language extension that our WGSL has: constants, `#if`, `#include`.
 *
 * - A number constant becomes `const NAME = 12u;`, a string like `1e-6f` becomes `const NAME = 1e-6f;`.
 *   Booleans and other strings exist for `#if` and `#include` alone.
 * - `#if NAME`, `#if !NAME`, `#if NAME == word`, `#if NAME != word`, then `#elif`, `#else`, `#endif`; they nest.
 * - `#include "file.wgsl"`, where `${NAME}` in the file's name is replaced by the constant.
 * - `enable` lines may stand anywhere, and move to the top.
 *
 * @module
 */

/** Values that a program is compiled for. */
export type Constants = Readonly<Record<string, number | boolean | string>>;

/**
 * Expands a file. An unknown constant, missing include or open `#if` throws, naming file and line.
 */
export function preprocess(
  file: { readonly name: string; readonly source: string },
  constants: Constants,
  includes: Readonly<Record<string, string>>,
): string {
  const enables = new Set<string>();
  const body = expand(file, { constants, includes, enables, depth: 0 });
  const header = Object.entries(constants).flatMap(([name, value]) => {
    if (typeof value === "number") return [`const ${name} = ${unsigned(name, value)}u;`];
    return typeof value === "string" && /^-?\d[\d.]*(e[+-]?\d+)?f$/.test(value)
      ? [`const ${name} = ${value};`]
      : [];
  });
  return [...enables, ...header, ...body].join("\n") + "\n";
}

interface Expansion {
  constants: Constants;
  includes: Readonly<Record<string, string>>;
  enables: Set<string>;
  depth: number;
}

function expand(file: { name: string; source: string }, state: Expansion): string[] {
  if (state.depth > 8) throw new Error(`Includes nest too deeply at "${file.name}"`);
  const output: string[] = [];
  // One entry per open #if: whether this branch is on, and whether any branch was taken yet.
  const branches: { isOn: boolean; wasTaken: boolean; parentIsOn: boolean }[] = [];
  const isOn = () => branches.at(-1)?.isOn ?? true;
  file.source.split("\n").forEach((line, index) => {
    const fail = (problem: string): never => {
      throw new Error(`${file.name}:${index + 1}: ${problem}`);
    };
    const directive = /^\s*#(\w+)\s*(.*?)\s*$/.exec(line);
    if (directive === null) {
      if (!isOn()) return;
      if (/^\s*enable\s/.test(line)) state.enables.add(line.trim());
      else output.push(line);
      return;
    }
    const [, word, rest = ""] = directive;
    const branch = branches.at(-1);
    if (word === "if") {
      const parentIsOn = isOn();
      const holds = parentIsOn && evaluate(rest, state.constants, fail);
      branches.push({ isOn: holds, wasTaken: holds, parentIsOn });
    } else if ((word === "elif" || word === "else") && branch !== undefined) {
      branch.isOn = branch.parentIsOn && !branch.wasTaken &&
        (word === "else" || evaluate(rest, state.constants, fail));
      branch.wasTaken ||= branch.isOn;
    } else if (word === "endif" && branch !== undefined) {
      branches.pop();
    } else if (word === "include") {
      if (!isOn()) return;
      const name = rest.replace(/^"|"$/g, "").replace(
        /\$\{(\w+)\}/g,
        (_, key: string) => String(state.constants[key] ?? fail(`unknown constant "${key}"`)),
      );
      const source = state.includes[name] ?? fail(`no include named "${name}"`);
      output.push(...expand({ name, source }, { ...state, depth: state.depth + 1 }));
    } else fail(`unexpected "#${word}"`);
  });
  if (branches.length > 0) throw new Error(`${file.name}: an "#if" has no "#endif"`);
  return output;
}

function evaluate(text: string, constants: Constants, fail: (problem: string) => never): boolean {
  const match = /^(!?)(\w+)(?:\s*(==|!=)\s*(\w+))?$/.exec(text);
  const [, not, name = "", operator, word] = match ?? fail(`cannot read condition "${text}"`);
  const value = constants[name];
  if (value === undefined) return fail(`unknown constant "${name}"`);
  if (operator !== undefined) return (String(value) === word) === (operator === "==");
  return Boolean(value) !== (not === "!");
}

function unsigned(name: string, value: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= 0xffffffff) return value;
  throw new RangeError(`Constant "${name}" is ${value}: use an unsigned integer or f32Literal()`);
}
