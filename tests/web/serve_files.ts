import type { BuiltFiles } from "../../web/build_files.ts";

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript",
  css: "text/css",
};

/** Serves files on 127.0.0.1; `/` is index.html. */
export function serveFiles(files: BuiltFiles): Deno.HttpServer<Deno.NetAddr> {
  const options = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
  return Deno.serve(options, (request) => {
    const path = new URL(request.url).pathname.slice(1) || "index.html";
    const file = files.get(path);
    if (file === undefined) return new Response("Not found", { status: 404 });
    const contentType = CONTENT_TYPES[path.split(".").at(-1) ?? ""] ?? "application/octet-stream";
    return new Response(file as BodyInit, { headers: { "content-type": contentType } });
  });
}
