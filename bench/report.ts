/** Lines of a run on stdout: JSON, or columns for people. */
export class Report {
  readonly #bench: string;
  readonly #isJson: boolean;
  readonly #common: Readonly<Record<string, unknown>>;

  /** `bench` is the mode; `common` ends every JSON line. */
  constructor({ bench, isJson, common }: {
    readonly bench: string;
    readonly isJson: boolean;
    readonly common: Readonly<Record<string, unknown>>;
  }) {
    this.#bench = bench;
    this.#isJson = isJson;
    this.#common = common;
  }

  line(values: Readonly<Record<string, unknown>>): void {
    console.log(
      this.#isJson
        ? JSON.stringify({ bench: this.#bench, ...values, ...this.#common })
        : text(values),
    );
  }
}

/** One line of columns, each with its name. */
function text({ measure, kernel, shape, ...values }: Readonly<Record<string, unknown>>): string {
  const subject = [measure, kernel, shape].filter((part) => part !== undefined && part !== "");
  const numbers = Object.entries(values).map(([name, value]) => `${name} ${value}`.padEnd(18));
  return `${subject.join(" ").padEnd(48)} ${numbers.join(" ")}`.trimEnd();
}
