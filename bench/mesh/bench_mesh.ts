import { fileURLToPath } from "node:url";
import { type HttpServer, serveHttp } from "../../signaling/http_server.ts";
import { SignalingServer } from "../../signaling/server.ts";
import { signalingEndpoint } from "../../signaling/socket_endpoint.ts";
import { headlessMeans } from "../../src/cli/mesh_means.ts";
import { formatJoinLink, generateJoinLink } from "../../src/mesh/join_link.ts";
import { joinMesh, type MeshMeans } from "../../src/mesh/join_mesh.ts";
import type { Mesh } from "../../src/mesh/mesh.ts";
import type { PeerLink } from "../../src/mesh/peer_link.ts";
import { type BenchReply, type BenchRequest, parseReply, type StageOrder } from "./order.ts";

/** A process to start as a node. */
export interface NodeOptions {
  /** Of the links that it dials. */
  readonly delayMs?: number;
  /** Part of the name of its adapter; without it, it has no GPU. */
  readonly adapter?: string;
}

/** What a page may load beside signaling, by path. */
export type ServedFiles = Readonly<
  Record<string, { readonly type: string; readonly body: string }>
>;

const JOIN_DEADLINE_MS = 60_000;
const REPLY_DEADLINE_MS = 60_000;
const SIGNALING_PATH = "/signaling";

/** A mesh on loopback with a signaling server of its own; this process is the coordinator. */
export class BenchMesh {
  readonly mesh: Mesh;
  readonly means: MeshMeans;
  /** Opens the room. */
  readonly joinLink: string;
  readonly #http: HttpServer;
  readonly #closing: AbortController;
  readonly #children: Deno.ChildProcess[] = [];

  private constructor(parts: {
    readonly mesh: Mesh;
    readonly means: MeshMeans;
    readonly joinLink: string;
    readonly http: HttpServer;
    readonly closing: AbortController;
  }) {
    this.mesh = parts.mesh;
    this.means = parts.means;
    this.joinLink = parts.joinLink;
    this.#http = parts.http;
    this.#closing = parts.closing;
    this.mesh.listen({
      onAnnounce: (peerId, role) => {
        if (role === "peer") this.mesh.connect(peerId).catch(() => {});
      },
      onConnect: () => this.mesh.announce("coordinator"),
    });
  }

  static async open(files: ServedFiles = {}): Promise<BenchMesh> {
    const means = headlessMeans();
    const closing = new AbortController();
    const signaling = new SignalingServer({ clock: means.clock });
    const endpoint = signalingEndpoint(signaling, { path: SIGNALING_PATH });
    const http = await serveHttp({
      ...{ hostname: "127.0.0.1", port: 0 },
      upgrade: (request, socket, head) => endpoint.upgrade(request, socket, head),
      handle: (request) => {
        const file = files[new URL(request.url).pathname];
        if (file === undefined) return new Response(null, { status: 404 });
        return new Response(file.body, { headers: { "content-type": file.type } });
      },
    });
    void signaling.run(closing.signal);
    const pageUrl = `http://127.0.0.1:${http.port}/`;
    const link = generateJoinLink(means.crypto, { pageUrl });
    const mesh = await joinMesh(link, means);
    return new BenchMesh({ mesh, means, joinLink: formatJoinLink(link), http, closing });
  }

  /** Starts a process and waits for its link. */
  async startNode({ delayMs = 0, adapter = "" }: NodeOptions = {}): Promise<PeerLink> {
    const program = fileURLToPath(new URL("node_process.ts", import.meta.url));
    const joined = this.nextLink();
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-lock", program, this.joinLink, String(delayMs), adapter],
      ...{ stdin: "null", stdout: "null", stderr: "inherit" },
    }).spawn();
    this.#children.push(child);
    return await joined;
  }

  /** The link to whoever joins next. */
  async nextLink(): Promise<PeerLink> {
    const { promise, resolve } = Promise.withResolvers<PeerLink>();
    const stopListening = this.mesh.listen({ onLink: resolve });
    try {
      return await this.#within(promise, { deadlineMs: JOIN_DEADLINE_MS, what: "join" });
    } finally {
      stopListening();
    }
  }

  /** Has a node serve a stage. Throws when it cannot. */
  async order(link: PeerLink, order: StageOrder) {
    return await this.#ask(link, { request: order, wanted: "bench-ready" });
  }

  /** What a node's stage did. */
  async stats(link: PeerLink) {
    return await this.#ask(link, { request: { type: "bench-stats" }, wanted: "bench-stats" });
  }

  async close(): Promise<void> {
    this.mesh.close("The bench is over");
    for (const child of this.#children) child.kill("SIGKILL");
    await Promise.all(this.#children.map(({ status }) => status));
    this.#closing.abort();
    await this.#http.close();
    this.means.rtc.close();
  }

  async #ask<T extends BenchReply["type"]>(
    link: PeerLink,
    { request, wanted }: { readonly request: BenchRequest; readonly wanted: T },
  ): Promise<Extract<BenchReply, { type: T }>> {
    const { promise, resolve, reject } = Promise.withResolvers<Extract<BenchReply, { type: T }>>();
    const stopListening = link.listen({
      onControl: (message) => {
        const reply = parseReply(message);
        if (reply?.type === wanted) resolve(reply as Extract<BenchReply, { type: T }>);
        else if (reply?.type === "bench-failed") reject(new Error(reply.reason));
      },
      onClose: (reason) => reject(new Error(reason)),
    });
    link.sendControl(request);
    try {
      return await this.#within(promise, { deadlineMs: REPLY_DEADLINE_MS, what: "answer" });
    } finally {
      stopListening();
    }
  }

  async #within<T>(
    promise: Promise<T>,
    { deadlineMs, what }: { readonly deadlineMs: number; readonly what: string },
  ): Promise<T> {
    const waiting = new AbortController();
    const late = this.means.clock.sleep(deadlineMs, waiting.signal).then(() => {
      throw new Error(`A node did not ${what} within ${deadlineMs / 1000} s`);
    });
    late.catch(() => {});
    try {
      return await Promise.race([promise, late]);
    } finally {
      waiting.abort();
    }
  }
}
