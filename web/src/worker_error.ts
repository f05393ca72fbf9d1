import { GpuLostError, GpuMemoryError, NoAdapterError } from "../../src/gpu/context.ts";
import { ModelConfigError } from "../../src/models/config_reader.ts";

/** An error as it crosses to another thread, where cloning would forget its class. */
export interface WireError {
  readonly name: string;
  readonly message: string;
}

/** An error of the other thread whose class is not made anew here; `name` is the original's. */
export class WorkerError extends Error {
  override readonly name: string;

  constructor({ name, message }: WireError) {
    super(message);
    this.name = name;
  }
}

/** Classes that callers tell apart. */
const KNOWN_CLASSES = new Map<string, new (message: string) => Error>([
  ["GpuLostError", GpuLostError],
  ["GpuMemoryError", GpuMemoryError],
  ["ModelConfigError", ModelConfigError],
  ["NoAdapterError", NoAdapterError],
  ["RangeError", RangeError],
]);

/** What can be posted of anything thrown. */
export function toWireError(thrown: unknown): WireError {
  return thrown instanceof Error || thrown instanceof DOMException
    ? { name: thrown.name, message: thrown.message }
    : { name: "Error", message: String(thrown) };
}

/** The error again, of its class where that is known. */
export function fromWireError(wire: WireError): Error {
  const KnownError = KNOWN_CLASSES.get(wire.name);
  return KnownError === undefined ? new WorkerError(wire) : new KnownError(wire.message);
}
