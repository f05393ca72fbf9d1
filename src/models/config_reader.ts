import type { HfConfig } from "../core.ts";

/** A config.json that this program cannot run, with the field at fault. */
export class ModelConfigError extends Error {
  override readonly name = "ModelConfigError";
}

/** What an integer may be, and what it is where the file has none. */
export interface SizeRange {
  readonly maximum: number;
  /** 1 where left out. */
  readonly minimum?: number;
  readonly fallback?: number;
}

/** Reads fields of a config.json, with checks. Fallbacks stand in for `null` as for no field. */
export class ConfigReader {
  readonly #fields: HfConfig;

  constructor(fields: HfConfig) {
    this.#fields = fields;
  }

  /** All of them, unchecked. */
  get fields(): HfConfig {
    return this.#fields;
  }

  /** An integer within bounds, so that nobody allocates what a hostile file asks for. */
  size(name: string, { maximum, minimum = 1, fallback }: SizeRange): number {
    const value = this.#fields[name] ?? fallback;
    const isInteger = typeof value === "number" && Number.isSafeInteger(value);
    if (isInteger && value >= minimum && value <= maximum) return value;
    throw this.fail(name, `an integer from ${minimum} to ${maximum}`);
  }

  /** A finite number above 0. */
  positive(name: string, fallback?: number): number {
    const value = this.#fields[name] ?? fallback;
    if (typeof value === "number" && Number.isFinite(value) && value > 0) return value;
    throw this.fail(name, "a number above 0");
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.#fields[name] ?? fallback;
    if (typeof value === "boolean") return value;
    throw this.fail(name, "true or false");
  }

  text(name: string, fallback: string): string {
    const value = this.#fields[name] ?? fallback;
    if (typeof value === "string") return value;
    throw this.fail(name, "a string");
  }

  /** A nested object as a reader of its own, or null. */
  object(name: string): ConfigReader | null {
    const value = this.#fields[name] ?? null;
    if (value === null) return null;
    if (typeof value === "object" && !Array.isArray(value)) {
      return new ConfigReader(value as HfConfig);
    }
    throw this.fail(name, "an object");
  }

  /** One integer or a list of them, as a list; absent is empty. */
  sizes(name: string): number[] {
    const value = this.#fields[name] ?? [];
    const list: unknown[] = Array.isArray(value) ? value : [value];
    if (list.every((item) => Number.isSafeInteger(item))) return list as number[];
    throw this.fail(name, "an integer or a list of integers");
  }

  /** A list of finite numbers, or null. */
  numbers(name: string): number[] | null {
    const value = this.#fields[name] ?? null;
    if (value === null) return null;
    if (Array.isArray(value) && value.every((item) => Number.isFinite(item))) return value;
    throw this.fail(name, "a list of numbers");
  }

  /** A list of strings, or null. */
  words(name: string): string[] | null {
    const value = this.#fields[name] ?? null;
    if (value === null) return null;
    if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
    throw this.fail(name, "a list of strings");
  }

  has(name: string): boolean {
    return (this.#fields[name] ?? null) !== null;
  }

  /** The number 0, which some classes of transformers take as no value. */
  isZero(name: string): boolean {
    return this.#fields[name] === 0;
  }

  /** Not even `null` is there: where Hugging Face's class has a default of its own. */
  isAbsent(name: string): boolean {
    return !Object.hasOwn(this.#fields, name);
  }

  fail(name: string, wanted: string): ModelConfigError {
    const found = JSON.stringify(this.#fields[name]) ?? "absent";
    return new ModelConfigError(
      `config.json field "${name}" must be ${wanted}, found ${found.slice(0, 80)}`,
    );
  }
}
