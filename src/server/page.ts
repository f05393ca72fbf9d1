/** A file of the built page. */
export interface PageAsset {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly contentType: string;
}

/** Reads "index.html" or "assets/index-4fK9x_2a.js" of the built page; null when there is none. */
export type ReadAsset = (path: string) => Promise<PageAsset | null>;

/** Names from letters and digits on: no hidden file, no folder above, nothing encoded. */
const ASSET_PATH = /^\w[\w.-]*(\/\w[\w.-]*)*$/;
/** The bundler puts a hash of the content in the name of everything in its folder. */
const HASHED_PATH = /^assets\/.*-[\w-]{8,}\.\w+$/;

const CONTENT_SECURITY_POLICY = [
  "default-src 'self'",
  // Models come from hubs, signaling may be elsewhere, a mesh may be on this machine.
  "connect-src 'self' ws: wss: https: http://localhost:* http://127.0.0.1:*",
  "worker-src 'self' blob:",
  "img-src 'self' data:",
  "style-src 'self' 'unsafe-inline'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join("; ");

/** The page itself where the client is a browser that opens `/`; null for others. */
export async function indexPage(request: Request, read: ReadAsset): Promise<Response | null> {
  const types = request.headers.get("accept")?.split(",") ?? [];
  const wantsHtml = types.some((type) => type.split(";")[0]?.trim() === "text/html");
  return wantsHtml ? await assetResponse("index.html", read) : null;
}

/** A file of the page; null when the path is none. */
export async function pageAsset(request: Request, read: ReadAsset): Promise<Response | null> {
  if (request.method !== "GET" && request.method !== "HEAD") return null;
  return await assetResponse(new URL(request.url).pathname.slice(1), read);
}

async function assetResponse(path: string, read: ReadAsset): Promise<Response | null> {
  const asset = ASSET_PATH.test(path) ? await read(path) : null;
  if (asset === null) return null;
  return new Response(asset.bytes, {
    headers: {
      "content-type": asset.contentType,
      "content-length": String(asset.bytes.length),
      "cache-control": HASHED_PATH.test(path) ? "public, max-age=31536000, immutable" : "no-cache",
      "content-security-policy": CONTENT_SECURITY_POLICY,
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
      ...(path === "index.html" ? { vary: "accept" } : {}),
    },
  });
}
