import { createIdentity } from "../../src/mesh/identity.ts";
import { generateJoinLink, type JoinLink } from "../../src/mesh/join_link.ts";
import type { ReceivedRoomMessage, Room } from "../../src/mesh/room.ts";
import { joinRoom, type JoinRoomOptions } from "../../src/mesh/signaling_room.ts";
import type { Rng } from "../../src/platform/platform.ts";
import { meshCrypto } from "../../src/platform/web_crypto.ts";
import { ManualClock, until } from "../server/clocks.ts";

/** Draws the middle of every range. */
export const middleRng: Rng = { uint32: () => 2 ** 31 };

/** A day in 2027. */
export const SOME_DAY_MS = 1_800_000_000_000;

/** A link to a new room that meets at `signalingUrl`. */
export function newLink(signalingUrl = "ws://hub/signaling"): JoinLink {
  return generateJoinLink(meshCrypto, { pageUrl: "http://localhost:9931/", signalingUrl });
}

/** What happened to one member of a room. */
export interface Member {
  readonly room: Room;
  readonly clock: ManualClock;
  readonly messages: ReceivedRoomMessage[];
  readonly refused: string[];
  readonly disconnects: string[];
  numConnects: number;
  /** Waits until it has got so many messages. */
  hears(numMessages: number): Promise<readonly ReceivedRoomMessage[]>;
  /** Waits until it is connected for the `count`-th time. */
  connects(count?: number): Promise<void>;
}

/** Makes a peer that joins a room and writes down what happens. */
export async function newMember(
  options: Pick<JoinRoomOptions, "link" | "openSocket"> & Partial<JoinRoomOptions>,
): Promise<Member> {
  const clock = new ManualClock();
  const room = joinRoom({
    identity: await createIdentity(meshCrypto),
    crypto: meshCrypto,
    clock,
    dateMs: () => SOME_DAY_MS + clock.now(),
    rng: middleRng,
    ...options,
  });
  const member: Member = {
    ...{ room, clock, messages: [], refused: [], disconnects: [], numConnects: 0 },
    async hears(numMessages) {
      await until(() => member.messages.length >= numMessages, 5000);
      return member.messages;
    },
    connects: async (count = 1) => void await until(() => member.numConnects >= count, 5000),
  };
  room.listen({
    onMessage: (received) => member.messages.push(received),
    onRefused: (reason) => member.refused.push(reason),
    onDisconnect: (reason) => member.disconnects.push(reason),
    onConnect: () => member.numConnects += 1,
  });
  return member;
}
