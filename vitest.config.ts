import { defineConfig } from "vitest/config";
import { wgslAsText } from "./web/wgsl_as_text.ts";

export default defineConfig({
  plugins: [wgslAsText],
  test: {
    include: ["tests/**/*.test.ts"],
    // Deno's worker_threads lack what vitest's "threads" pool calls.
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
