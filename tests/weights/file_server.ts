/** A file server on loopback that misbehaves as told. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** How a file is served. */
export interface ServedFile {
  readonly bytes: Uint8Array;
  readonly etag?: string;
  /** Answers every request with the whole file. */
  readonly ignoresRange?: boolean;
  /** Drops the connection after this many bytes of each of the first answers. */
  readonly cuts?: number[];
  /** Statuses of the first answers. */
  readonly statuses?: number[];
  /** Sent instead of the right one. */
  readonly contentRange?: string;
  /** Never sends the body. */
  readonly hangs?: boolean;
  readonly errorCode?: string;
  /** Sends the client there instead. */
  readonly location?: string;
}

export interface FileServer {
  readonly url: string;
  /** By path; may be changed at any time. */
  readonly files: Map<string, ServedFile>;
  /** Requests so far, as "path range". */
  readonly requests: string[];
  readonly authorizations: (string | undefined)[];
  close(): Promise<void>;
}

export async function startFileServer(): Promise<FileServer> {
  const files = new Map<string, ServedFile>();
  const requests: string[] = [];
  const authorizations: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.url} ${request.headers.range ?? "-"}`);
    authorizations.push(request.headers.authorization);
    serve(files.get(request.url ?? ""), request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    files,
    requests,
    authorizations,
    close: async () => {
      server.closeAllConnections?.();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function serve(file: ServedFile | undefined, request: IncomingMessage, response: ServerResponse) {
  const status = file ? file.statuses?.shift() : 404;
  if (!file || (status !== undefined && status !== 200)) {
    response.writeHead(status ?? 404, file?.errorCode ? { "x-error-code": file.errorCode } : {});
    response.end("no");
    return;
  }
  if (file.location) {
    response.writeHead(302, { location: file.location });
    response.end();
    return;
  }
  const { bytes } = file;
  const etag: Record<string, string> = file.etag ? { etag: file.etag } : {};
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  if (!range || file.ignoresRange) {
    response.writeHead(200, { ...etag, "content-length": bytes.length });
    send(file, bytes, response);
    return;
  }
  const start = Number(range[1]);
  const end = range[2] ? Math.min(Number(range[2]) + 1, bytes.length) : bytes.length;
  if (start >= bytes.length) {
    response.writeHead(416, { "content-range": `bytes */${bytes.length}` });
    response.end();
    return;
  }
  response.writeHead(206, {
    ...etag,
    "content-length": end - start,
    "content-range": file.contentRange ?? `bytes ${start}-${end - 1}/${bytes.length}`,
  });
  send(file, bytes.subarray(start, end), response);
}

function send(file: ServedFile, body: Uint8Array, response: ServerResponse) {
  const cut = file.cuts?.shift();
  if (file.hangs) {
    response.write(body.subarray(0, 1));
  } else if (cut !== undefined) {
    response.write(body.subarray(0, cut), () => response.destroy());
  } else {
    response.end(body);
  }
}
