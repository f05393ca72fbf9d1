/**
 * Programs: shaders compiled once for each (name, constants).
 *
 * @module
 */
import type { GpuContext } from "./context.ts";
import { type Constants, preprocess } from "./preprocess.ts";

/** The source of a kernel: one file of shaders/. */
export interface ShaderFile {
  /** The file's stem, also the entry point and the label. */
  readonly name: string;
  readonly source: string;
}

/** A shader compiled for one set of constants. */
export interface Program {
  /** Name and constants; what a profile is grouped by. */
  readonly key: string;
  readonly name: string;
  readonly layout: GPUBindGroupLayout;
  /** Set once compiled: await `ProgramCache.compiled()` first. */
  pipeline: GPUComputePipeline | null;
}

/** A shader did not compile. */
export class ShaderError extends Error {
  override readonly name = "ShaderError";
}

/** Compiles programs, in the background, and keeps them for the life of the device. */
export class ProgramCache {
  readonly #context: GpuContext;
  readonly #includes: Readonly<Record<string, string>>;
  readonly #programs = new Map<string, Program>();
  #compiling: Promise<void>[] = [];

  constructor(context: GpuContext, includes: Readonly<Record<string, string>>) {
    this.#context = context;
    this.#includes = includes;
  }

  /** The program for `shader` with `constants`; compilation starts now if it is new. */
  get(shader: ShaderFile, constants: Constants): Program {
    const key = `${shader.name} ${
      Object.entries(constants).map(([name, value]) => `${name}=${value}`).join(" ")
    }`;
    const known = this.#programs.get(key);
    if (known !== undefined) return known;
    const code = preprocess(shader, constants, this.#includes);
    const layout = this.#context.device.createBindGroupLayout({
      label: shader.name,
      entries: bindingTypes(code).map((type, binding) => ({
        binding,
        visibility: GPUShaderStage.COMPUTE,
        buffer: { type },
      })),
    });
    const program: Program = { key, name: shader.name, layout, pipeline: null };
    this.#programs.set(key, program);
    const compiling = this.#compile(program, code);
    // The failure reaches whoever awaits compiled(); until then it must not count as unhandled.
    compiling.catch(() => {});
    this.#compiling.push(compiling);
    return program;
  }

  get size(): number {
    return this.#programs.size;
  }

  /** Resolves when every program asked for so far can run; throws the first ShaderError. */
  async compiled(): Promise<void> {
    while (this.#compiling.length > 0) {
      const waiting = this.#compiling;
      this.#compiling = [];
      await this.#context.wait(Promise.all(waiting));
    }
  }

  async #compile(program: Program, code: string): Promise<void> {
    const { device } = this.#context;
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ label: program.key, code });
    const scope = device.popErrorScope();
    const messages = (await this.#context.wait(module.getCompilationInfo())).messages
      .filter((message) => message.type === "error")
      .map((message) => `${message.lineNum}:${message.linePos} ${message.message}`);
    const error = await this.#context.wait(scope);
    if (messages.length > 0 || error !== null) {
      throw new ShaderError(
        `Shader "${program.key}" does not compile: ${messages.join("; ") || error?.message}`,
      );
    }
    try {
      program.pipeline = await this.#context.wait(device.createComputePipelineAsync({
        label: program.key,
        layout: device.createPipelineLayout({ bindGroupLayouts: [program.layout] }),
        compute: { module, entryPoint: program.name },
      }));
    } catch (cause) {
      throw new ShaderError(`Shader "${program.key}" makes no pipeline: ${cause}`, { cause });
    }
  }
}

/** Reads the types of bindings 0, 1, 2... of group 0 from WGSL; they must be consecutive. */
function bindingTypes(code: string): GPUBufferBindingType[] {
  const declaration =
    /@group\(0\)\s*@binding\((\d+)\)\s*var<\s*(uniform|storage)\s*(?:,\s*(\w+))?/g;
  const types: GPUBufferBindingType[] = [];
  for (const [, index, space, access] of code.matchAll(declaration)) {
    if (Number(index) !== types.length) {
      throw new ShaderError(
        `Binding ${index} is out of order: number bindings 0, 1, 2 in the file`,
      );
    }
    types.push(
      space === "uniform" ? "uniform" : access === "read_write" ? "storage" : "read-only-storage",
    );
  }
  return types;
}
