/** Why the page cannot lend, each with a screen of its own. */
export type Problem =
  /** Parts of the platform that the browser lacks, as people call them. */
  | { readonly type: "unsupported"; readonly missing: readonly string[] }
  /** Opened over plain HTTP from another device. */
  | { readonly type: "insecure"; readonly origin: string }
  | { readonly type: "no-link" }
  | { readonly type: "damaged-link"; readonly reason: string }
  | { readonly type: "no-adapter" }
  /** The device computes wrong, or could not be opened. */
  | { readonly type: "unfit"; readonly reason: string }
  /** No room even for the test. */
  | { readonly type: "memory"; readonly reason: string }
  | { readonly type: "device-lost"; readonly reason: string }
  | { readonly type: "device-lost-often"; readonly reason: string }
  | { readonly type: "refused"; readonly reason: string };

/** What the page found out about where it runs. */
export interface Environment {
  readonly isSecureContext: boolean;
  readonly origin: string;
  readonly hasWebGpu: boolean;
  readonly hasWebRtc: boolean;
  readonly hasPrivateFiles: boolean;
  /** Something follows the "#" of the address. */
  readonly hasLink: boolean;
  /** What is wrong with the link; null when nothing is. */
  readonly linkProblem: string | null;
}

/**
 * The first thing that keeps the page from lending, or null. The insecure context comes before what
 * browsers hide because of it.
 */
export function problemOf(environment: Environment): Problem | null {
  const { isSecureContext, origin, hasWebGpu, hasWebRtc, hasPrivateFiles } = environment;
  if (!isSecureContext) return { type: "insecure", origin };
  const missing = [
    ...(hasWebGpu ? [] : ["WebGPU"]),
    ...(hasWebRtc ? [] : ["WebRTC"]),
    ...(hasPrivateFiles ? [] : ["private file storage"]),
  ];
  if (missing.length > 0) return { type: "unsupported", missing };
  if (!environment.hasLink) return { type: "no-link" };
  const { linkProblem } = environment;
  return linkProblem === null ? null : { type: "damaged-link", reason: linkProblem };
}

/** The problem that an error on the way into the mesh stands for. */
export function problemOfError(error: Error): Problem {
  const reason = error.message;
  switch (error.name) {
    case "NoAdapterError":
      return { type: "no-adapter" };
    case "IdentityError":
      return { type: "unsupported", missing: ["Ed25519 signatures"] };
    case "GpuMemoryError":
      return { type: "memory", reason };
    case "GpuLostError":
    case "WorkerLostError":
      return { type: "device-lost", reason };
    default:
      return { type: "unfit", reason };
  }
}
