/** Vite plugin: what `import ... with { type: "text" }` does for WGSL in Deno. */
export const wgslAsText = {
  name: "wgsl-as-text",
  transform: (code: string, id: string) =>
    id.endsWith(".wgsl") ? `export default ${JSON.stringify(code)};` : undefined,
};
