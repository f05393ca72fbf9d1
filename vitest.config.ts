import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [{
    name: "wgsl-as-text",
    transform: (code, id) =>
      id.endsWith(".wgsl") ? `export default ${JSON.stringify(code)};` : undefined,
  }],
  test: {
    include: ["tests/**/*.test.ts"],
    // Deno's worker_threads lack what vitest's "threads" pool calls.
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
