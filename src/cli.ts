/**
 * The command line: parses flags, picks the platform, starts a role.
 *
 * @module
 */
import { Command, InvalidArgumentError, Option } from "commander";
import { chat } from "./cli/chat.ts";
import { describeError } from "./cli/errors.ts";
import { run } from "./cli/run.ts";
import { verify } from "./cli/verify.ts";
import { MAX_WORKGROUPS } from "./gpu/dispatch.ts";
import { VERSION } from "./version.ts";
import { DEFAULT_MODEL } from "./weights/open_model.ts";

const DEFAULT_PORT = 8420;

/** Runs one command line. Returns the exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted. */
export async function main(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const program = new Command("tessera")
    .description("Runs large language models on a mesh of ordinary GPUs")
    .version(VERSION)
    .showSuggestionAfterError()
    .exitOverride();

  withGpuOptions(
    program.command("run")
      .description("Serve a model over an OpenAI-style HTTP API")
      .argument("[model]", "hub id, folder, .gguf file or URL", DEFAULT_MODEL)
      .addOption(
        option("--port <n>", "port on 127.0.0.1", wholeNumber(0, 65_535)).default(DEFAULT_PORT),
      )
      .addOption(
        option("--stages <n>", "stages to split the layers over", wholeNumber()).default(1),
      )
      .addOption(option("--kv-tokens <n>", "tokens that the KV cache holds", wholeNumber(16)))
      .addOption(option("--max-model-length <n>", "longest prompt and output", wholeNumber(2)))
      .addOption(
        option("--max-batch-tokens <n>", "most tokens in a step", wholeNumber(1, MAX_WORKGROUPS)),
      )
      .addOption(option("--max-sequences <n>", "most sequences in a step", wholeNumber()))
      .option("--checked", "keep WebGPU's validation and bounds checks on"),
  ).addHelpText(
    "after",
    `
Examples:
  deno task run
  deno task run Qwen/Qwen3-0.6B --port 9000
  deno task run ./model.gguf --stages 2`,
  ).action(async (model, options) => {
    exitCode = await run({ model, ...options });
  });

  program.command("chat")
    .description("Talk to a running server in the terminal")
    .argument("[message]", "ask once and exit; without it, read messages from the terminal")
    .addOption(
      option("--url <url>", "the server").default(`http://127.0.0.1:${DEFAULT_PORT}`),
    )
    .option("--system <text>", "system message")
    .addOption(option("--temperature <t>", "0 is greedy", decimal))
    .addOption(option("--max-tokens <n>", "longest answer", wholeNumber()))
    .action(async (message, options) => {
      exitCode = await chat({ message, ...options });
    });

  withGpuOptions(
    program.command("verify")
      .description("Compare checkpoints with the logits and tokens stored beside them")
      .requiredOption("--golden <dir>", "folder with a folder for each case")
      .addOption(
        option("--stages <n>", "stages to split the layers over", wholeNumber()).default(1),
      )
      .option("--case <name...>", "only these cases")
      .addOption(
        option("--tolerance <x>", "largest difference of a logit", decimal).default(2e-3),
      )
      .option("--json", "one JSON line for each case"),
  ).action(async (options) => {
    exitCode = await verify(options);
  });

  try {
    await program.parseAsync([...args], { from: "user" });
  } catch (error) {
    if (isUsageExit(error)) return error.exitCode === 0 ? 0 : 2;
    console.error(describeError(error));
    return 1;
  }
  return exitCode;
}

function withGpuOptions(command: Command): Command {
  return command
    .addOption(option("--adapter <name>", "GPU whose name contains this"))
    .addOption(
      option("--backend <name>", "WebGPU implementation").choices(["auto", "dawn", "wgpu"])
        .default("auto"),
    )
    .addOption(option("--kv <type>", "K and V as f16 or f32").choices(["f16", "f32"]))
    .option("--deterministic", "same tokens whatever else runs (default on software adapters)")
    .option("--no-deterministic", "fastest kernels; near-ties may differ between batches");
}

/** An option that is also an environment variable: `--kv-tokens` is TESSERA_KV_TOKENS. */
function option(flags: string, description: string, parse?: (text: string) => unknown): Option {
  const made = new Option(flags, description);
  made.env(`TESSERA_${made.name().replaceAll("-", "_").toUpperCase()}`);
  return parse ? made.argParser(parse) : made;
}

function wholeNumber(
  minimum = 1,
  maximum = Number.MAX_SAFE_INTEGER,
): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isSafeInteger(value) && value >= minimum && value <= maximum) return value;
    const range = maximum === Number.MAX_SAFE_INTEGER
      ? `of at least ${minimum}`
      : `from ${minimum} to ${maximum}`;
    throw new InvalidArgumentError(`Use a whole number ${range}`);
  };
}

function decimal(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value >= 0) return value;
  throw new InvalidArgumentError("Use a number of at least 0");
}

function isUsageExit(error: unknown): error is { readonly exitCode: number } {
  return error instanceof Error && "code" in error && String(error.code).startsWith("commander.") &&
    "exitCode" in error;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
