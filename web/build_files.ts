import { build, type InlineConfig } from "vite";

/** Files of a build by their path below its root. */
export type BuiltFiles = ReadonlyMap<string, string | Uint8Array>;

/** Builds with Vite, in memory. */
export async function buildFiles(config: InlineConfig): Promise<BuiltFiles> {
  const results = await build({
    ...config,
    configFile: false,
    logLevel: "warn",
    build: { ...config.build, write: false },
  });
  const files = [results].flat().flatMap((result) => "output" in result ? result.output : []);
  return new Map(
    files.map((file) => [file.fileName, file.type === "chunk" ? file.code : file.source]),
  );
}
