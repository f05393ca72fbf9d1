/**
 * The command line: parses flags, picks the platform, starts a role.
 *
 * @module
 */
import { Command, InvalidArgumentError } from "commander";
import { chat } from "./cli/chat.ts";
import { describeError } from "./cli/errors.ts";
import { memorySize } from "./cli/memory_size.ts";
import { decimal, option, switchOption, wholeNumber } from "./cli/option.ts";
import { MAX_WORKGROUPS } from "./gpu/dispatch.ts";
import { parseIceServer } from "./mesh/ice_server.ts";
import { VERSION } from "./version.ts";
import { DEFAULT_MODEL } from "./weights/open_model.ts";

const DEFAULT_PORT = 8420;
/** Timers of every runtime reach so far. */
const MAX_TIMEOUT_S = 2_000_000;

/** Runs one command line. Returns the exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted. */
export async function main(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const program = new Command("tessera")
    .description("Runs large language models on a mesh of ordinary GPUs")
    .version(VERSION)
    .showSuggestionAfterError()
    .exitOverride();

  withLendOptions(
    program.command("run")
      .description("Serve a model over an OpenAI-style HTTP API, on this GPU and those of peers")
      .argument("[model]", "hub id, folder, .gguf file or URL", DEFAULT_MODEL)
      .addOption(option("--host <address>", "address to listen on").default("127.0.0.1"))
      .addOption(option("--port <n>", "port", wholeNumber(0, 65_535)).default(DEFAULT_PORT))
      .addOption(option("--api-key <key...>", "keys of which requests must bring one"))
      .addOption(
        option("--tls <kind>", "HTTPS with a certificate of its own").choices(["self-signed"]),
      )
      .addOption(option("--tls-cert <file>", "HTTPS with this certificate, PEM"))
      .addOption(option("--tls-key <file>", "its private key, PEM"))
      .addOption(option("--public-url <url>", "origin by which others reach this server"))
      .addOption(
        option("--signaling <url>", "ws: or wss: URL of another signaling server than its own"),
      )
      .addOption(
        option("--page-url <url>", "where the page for browsers is hosted, if elsewhere"),
      )
      .addOption(
        option("--ice-server <server...>", "stun:host:port or turn:user:password@host:port")
          .argParser((text, all: RTCIceServer[] = []) => [...all, iceServer(text)]),
      )
      .option("--new-room", "make a new join link; old ones lead nowhere then")
      .addOption(option("--name <text>", "what peers call this coordinator"))
      .option("--qr", "print the join link as a QR code also where stdout is no terminal")
      .option("--no-gpu", "leave this machine's GPU alone and wait for peers")
      .addOption(
        option("--peers <n>", "give out layers once so many peers are there", wholeNumber())
          .default(1),
      )
      .addOption(
        option("--stages <n>", "stages that this GPU's layers are split over", wholeNumber())
          .default(1),
      )
      .addOption(
        option("--hidden <type>", "hidden states between peers; f16 halves the bytes, not exact")
          .choices(["f32", "f16"]).default("f32"),
      )
      .addOption(
        option(
          "--kv-tokens <n>",
          "tokens that the KV cache holds (default what the devices hold)",
          wholeNumber(16),
        ),
      )
      .addOption(option("--max-model-length <n>", "longest prompt and output", wholeNumber(2)))
      .addOption(
        option(
          "--max-batch-tokens <n>",
          "most tokens in a step (default: 512, or as 64 MiB allow)",
          wholeNumber(1, MAX_WORKGROUPS),
        ),
      )
      .addOption(option("--max-sequences <n>", "most sequences in a step", wholeNumber()))
      .addOption(
        option("--max-waiting <n>", "most sequences that wait; others get a 429", wholeNumber())
          .default(256),
      )
      .addOption(
        option(
          "--request-timeout <s>",
          "longest that a request may take, in seconds; 0 is for ever",
          wholeNumber(0, MAX_TIMEOUT_S),
        ).default(600),
      )
      .addOption(
        switchOption("--share-prefix-cache", "let API keys share what the prefix cache holds"),
      ),
  ).addHelpText(
    "after",
    `
Examples:
  deno task run
  deno task run Qwen/Qwen3-0.6B --port 9000
  deno task run ./model.gguf --no-gpu --peers 2
  deno task run --host 0.0.0.0 --tls self-signed --api-key SECRET`,
  ).action(async (model, options) => {
    const { run } = await import("./cli/run.ts");
    exitCode = await run({ model, ...options });
  });

  withLendOptions(
    program.command("node")
      .description("Lend this machine's GPU to a mesh")
      .addOption(
        option("--join <link>", "the join link that the coordinator printed").makeOptionMandatory(),
      )
      .addOption(option("--name <text>", "what others call this machine"))
      .option("--once", "end when the coordinator is gone, instead of waiting for it"),
  ).addHelpText(
    "after",
    `
Examples:
  deno task node --join "http://localhost:8420/#v1.ROOM.SECRET"
  deno task node --join "$LINK" --memory 6GiB --name attic`,
  ).action(async (options) => {
    const { node } = await import("./cli/node.ts");
    exitCode = await node(options);
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
      .description(
        "Compare checkpoints with the logits and tokens stored beside them, which decide, and with " +
          "the hidden states, which tell the layer that is wrong (not with --peers)",
      )
      .requiredOption("--golden <dir>", "folder with a folder for each case")
      .addOption(
        option("--stages <n>", "stages to split the layers over", wholeNumber()).default(1),
      )
      .addOption(
        option("--peers <n>", "processes to run on, linked by WebRTC", wholeNumber(0)).default(0)
          .conflicts("stages"),
      )
      .option("--case <name...>", "only these cases")
      .addOption(
        option(
          "--tolerance <x>",
          "largest difference of a logit, and of a hidden state as a share of its token's size",
          decimal,
        ).default(2e-3),
      )
      .option("--json", "one JSON line for each case"),
  ).action(async (options) => {
    const { verify } = await import("./cli/verify.ts");
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

function withLendOptions(command: Command): Command {
  return withGpuOptions(command)
    .addOption(option("--memory <size>", "memory to lend, such as 4GiB", memorySize))
    .option("--checked", "keep WebGPU's validation and bounds checks on");
}

function iceServer(text: string): RTCIceServer {
  try {
    return parseIceServer(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

function isUsageExit(error: unknown): error is { readonly exitCode: number } {
  return error instanceof Error && "code" in error && String(error.code).startsWith("commander.") &&
    "exitCode" in error;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
