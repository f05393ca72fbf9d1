/**
 * A node of the benches as a process of its own. Its arguments: a join link, the delay in ms of the
 * links that it dials, and the adapter's name or nothing.
 *
 * @module
 */
import { chooseAdapter, openContext } from "../../src/gpu/context.ts";
import { headlessMeans } from "../../src/cli/mesh_means.ts";
import { dialLink } from "../../src/mesh/dial_link.ts";
import { createIdentity } from "../../src/mesh/identity.ts";
import { parseJoinLink } from "../../src/mesh/join_link.ts";
import { Mesh } from "../../src/mesh/mesh.ts";
import { joinRoom } from "../../src/mesh/signaling_room.ts";
import { denoGpu } from "../../src/platform/deno.ts";
import { throughRelay } from "../through_relay.ts";
import { UdpRelay } from "../udp_relay.ts";
import { CopyStage } from "./copy_stage.ts";
import { serveOrders } from "./node.ts";
import { WaitStage } from "./wait_stage.ts";

const [linkText = "", delayText = "0", wantedAdapter = ""] = Deno.args;
const delayMs = Number(delayText);
const link = parseJoinLink(linkText);
const context = wantedAdapter === "" ? null : await openContext(
  chooseAdapter(
    await denoGpu({ backend: "auto", isTrusted: true }).listAdapters(wantedAdapter),
    wantedAdapter,
  ),
);
const means = headlessMeans();
const identity = await createIdentity(means.crypto);
const mesh = new Mesh({
  room: joinRoom({ link, identity, ...means }),
  clock: means.clock,
  dial: async (attempt) => {
    const isSlow = attempt.isInitiator && delayMs > 0;
    const rtc = isSlow ? throughRelay(means.rtc, new UdpRelay({ delayMs })) : means.rtc;
    return await dialLink({ ...means, rtc, iceServers: [], identity, ...attempt });
  },
});
// Nobody is left behind when the bench is killed.
mesh.listen({ onLink: (link) => void link.listen({ onClose: () => Deno.exit() }) });
serveOrders(mesh, means.clock, {
  adapterName: context?.capabilities.adapterName ?? null,
  make: async ({ work, shard, hiddenSize, limits: { maxBatchTokens } }) => {
    if (work.type === "wait") {
      return new WaitStage(shard, { stepMs: work.stepMs, hiddenSize, clock: means.clock });
    }
    if (context === null) throw new Error("This node has no GPU: give it an adapter's name");
    return await CopyStage.create(context, { shard, hiddenSize, maxBatchTokens });
  },
});
