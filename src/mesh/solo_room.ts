import type { Room } from "./room.ts";

/** A room of one: for a process that shares its model with nobody. */
export function soloRoom(peerId: string): Room {
  return {
    peerId,
    isConnected: false,
    send: () => {},
    listen: () => () => {},
    close: () => {},
  };
}
