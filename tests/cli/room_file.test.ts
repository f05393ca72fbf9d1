import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readRoom } from "../../src/cli/room_file.ts";

let parent: string;
beforeEach(async () => {
  parent = await Deno.makeTempDir();
});
afterEach(() => Deno.remove(parent, { recursive: true }));

describe("readRoom()", () => {
  const folder = () => join(parent, "cache");
  const path = () => join(folder(), "room.json");
  const read = (isNew = false) => readRoom(folder(), { isNew });
  const mode = async (of: string) => ((await Deno.stat(of)).mode ?? 0) & 0o777;

  test("makes a room once; it is the same at every start", async () => {
    const room = await read();
    expect(room.room).toMatch(/^[\w-]{22}$/);
    expect(room.secret).toHaveLength(16);
    expect(await read()).toEqual(room);
    expect([...Deno.readDirSync(folder())].map(({ name }) => name)).toEqual(["room.json"]);
  });

  test("keeps it from everybody else, even where the file was open to all", async () => {
    await read();
    expect(await mode(path())).toBe(0o600);
    expect(await mode(folder())).toBe(0o700);
    await Deno.chmod(path(), 0o644);
    await read(true);
    expect(await mode(path())).toBe(0o600);
  });

  test("makes a new one where that is wanted, and stays with it", async () => {
    const old = await read();
    const fresh = await read(true);
    expect(fresh.room).not.toBe(old.room);
    expect(fresh.secret).not.toEqual(old.secret);
    expect(await read()).toEqual(fresh);
  });

  test("replaces a damaged file", async () => {
    const { room } = await read();
    const damaged = ["", "{", "null", "[]", "{}", '{"room":"short","secret":"short"}'];
    for (const text of [...damaged, `{"room":"${room}","secret":7}`, `{"room":"${room}"}`]) {
      await Deno.writeTextFile(path(), text);
      const mended = await read();
      expect(mended.room, text).not.toBe(room);
      expect(await read()).toEqual(mended);
    }
  });
});
