import type { Clock, MeshCrypto, OpenTextSocket, Rng, RtcProvider } from "../platform/platform.ts";
import { dialLink } from "./dial_link.ts";
import { createIdentity } from "./identity.ts";
import type { JoinLink } from "./join_link.ts";
import { Mesh } from "./mesh.ts";
import { joinRoom } from "./signaling_room.ts";

/** What a runtime gives to a member of a mesh. */
export interface MeshMeans {
  readonly rtc: RtcProvider;
  readonly openSocket: OpenTextSocket;
  readonly crypto: MeshCrypto;
  readonly clock: Clock;
  readonly rng: Rng;
  /** Wall time, ms since 1970. */
  readonly dateMs: () => number;
}

/**
 * Joins the mesh behind a link, as a peer that was not there before, and stays in it until the mesh
 * is closed. Throws an IdentityError where the runtime cannot make keys.
 */
export async function joinMesh(
  link: Pick<JoinLink, "room" | "secret" | "signalingUrl" | "iceServers">,
  means: MeshMeans,
): Promise<Mesh> {
  const { rtc, crypto, clock } = means;
  const identity = await createIdentity(crypto);
  const { iceServers } = link;
  return new Mesh({
    room: joinRoom({ link, identity, ...means }),
    dial: (attempt) => dialLink({ ...{ rtc, iceServers, identity, crypto, clock }, ...attempt }),
    clock,
  });
}
