import { build } from "vite";
import { wgslAsText } from "../../web/wgsl_as_text.ts";

/** Bundles a file of the tests into one ES module; only npm `webgpu` stays an import. */
export async function bundle(entry: URL): Promise<string> {
  const results = await build({
    configFile: false,
    logLevel: "warn",
    plugins: [wgslAsText],
    // Its modules import Node's.
    resolve: { alias: { "simple-peer": "simple-peer/simplepeer.min.js" } },
    build: {
      lib: { entry: entry.pathname, formats: ["es"] },
      minify: false,
      rolldownOptions: { external: ["webgpu"] },
      write: false,
    },
  });
  const files = [results].flat().flatMap((result) => "output" in result ? result.output : []);
  const [file] = files;
  if (files.length !== 1 || file?.type !== "chunk") {
    throw new Error(`${entry} makes ${files.length} files instead of one module`);
  }
  return file.code;
}
