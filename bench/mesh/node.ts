import type { Mesh } from "../../src/mesh/mesh.ts";
import type { PeerLink } from "../../src/mesh/peer_link.ts";
import { maxBatchBytes } from "../../src/pipeline/batch_frame.ts";
import { StageService } from "../../src/pipeline/stage_service.ts";
import type { Clock } from "../../src/platform/platform.ts";
import type { Stage } from "../../src/stage/stage.ts";
import { type BenchReply, type BenchRequest, parseRequest, type StageOrder } from "./order.ts";
import { TimedStage } from "./timed_stage.ts";

/** What makes a node's stages. */
export interface StageMaker {
  /** Null when it makes only stages without a GPU. */
  readonly adapterName: string | null;
  make(order: StageOrder): Promise<Stage>;
}

const NEIGHBOUR_DEADLINE_MS = 30_000;
/** Counts are not told apart from ids here: any vocabulary will do. */
const VOCAB_SIZE = 1_000;

/** Serves whatever stage a member of the mesh orders, one at a time. */
export function serveOrders(mesh: Mesh, clock: Clock, maker: StageMaker): void {
  mesh.listen({
    onConnect: () => mesh.announce("peer"),
    onAnnounce: (_, role) => role === "coordinator" && mesh.announce("peer"),
    onLink: (link) => new BenchNode({ mesh, link, clock, maker }),
  });
}

class BenchNode {
  readonly #options: {
    readonly mesh: Mesh;
    readonly link: PeerLink;
    readonly clock: Clock;
    readonly maker: StageMaker;
  };
  #stage: TimedStage | null = null;
  #service: StageService | null = null;

  constructor(options: {
    readonly mesh: Mesh;
    readonly link: PeerLink;
    readonly clock: Clock;
    readonly maker: StageMaker;
  }) {
    this.#options = options;
    options.link.listen({
      onControl: (message) => {
        const request = parseRequest(message);
        if (request !== null) void this.#obey(request);
      },
    });
  }

  async #obey(request: BenchRequest): Promise<void> {
    try {
      if (request.type === "bench-stage") await this.#serve(request);
      else this.#report();
    } catch (error) {
      this.#reply({ type: "bench-failed", reason: String(error) });
    }
  }

  async #serve(order: StageOrder): Promise<void> {
    const { mesh, link, clock, maker } = this.#options;
    const { epoch, limits, hiddenSize, hiddenType, previous, next } = order;
    this.#service?.close();
    this.#stage?.close();
    const signal = new AbortController().signal;
    const waiting = { withinMs: NEIGHBOUR_DEADLINE_MS, signal };
    const [input, output] = await Promise.all([
      previous === null ? link : mesh.waitForLink(previous, waiting),
      next === null ? link : mesh.connect(next),
    ]);
    input.allowPayload(maxBatchBytes(limits, { hiddenSize, vocabSize: VOCAB_SIZE }));
    this.#stage = new TimedStage(await maker.make(order), clock);
    this.#service = new StageService({
      ...{ stage: this.#stage, epoch, limits, hiddenSize, hiddenType, input, output, clock },
      onFailure: ({ reason }) => this.#reply({ type: "bench-failed", reason }),
    });
    this.#reply({ type: "bench-ready", epoch, adapterName: maker.adapterName });
  }

  #report(): void {
    if (this.#service === null || this.#stage === null) throw new Error("There is no stage");
    const { stats } = this.#service;
    this.#reply({ type: "bench-stats", stats, stageMs: this.#stage.takeMedianMs() });
  }

  #reply(reply: BenchReply): void {
    this.#options.link.sendControl(reply);
  }
}
