import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { wgslAsText } from "./wgsl_as_text.ts";

export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  // Relative, so that any static host can serve the page below any path.
  base: "./",
  publicDir: false,
  plugins: [wgslAsText],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  // The package's own bundle for browsers: its modules import Node's.
  resolve: { alias: { "simple-peer": "simple-peer/simplepeer.min.js" } },
  worker: { format: "es", plugins: () => [wgslAsText] },
  build: {
    outDir: "dist",
    target: "es2023",
    // Everything is a file of its own: the page's policy allows no inline data but the icon.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
