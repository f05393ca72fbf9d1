import { describe, expect, it, vi } from "vitest";
import { SerialQueue } from "../../src/mesh/serial_queue.ts";

function unexpected(error: unknown): void {
  throw error;
}

describe("a serial queue", () => {
  it("runs tasks one after the other, however long each takes", async () => {
    const queue = new SerialQueue(10, unexpected);
    const events: string[] = [];
    const delays = [5, 0, 2];
    await new Promise<void>((resolve) => {
      delays.forEach((delay, number) =>
        queue.add(async () => {
          events.push(`start ${number}`);
          await new Promise((done) => setTimeout(done, delay));
          events.push(`end ${number}`);
          if (number === delays.length - 1) resolve();
        })
      );
    });
    expect(events).toEqual(["start 0", "end 0", "start 1", "end 1", "start 2", "end 2"]);
  });

  it("takes no more than fit, and more once there is room", async () => {
    const queue = new SerialQueue(2, unexpected);
    const gate = Promise.withResolvers<void>();
    expect([queue.add(() => gate.promise), queue.add(() => Promise.resolve())]).toEqual([
      true,
      true,
    ]);
    expect(queue.add(() => Promise.resolve())).toBe(false);
    gate.resolve();
    await vi.waitFor(() => expect(queue.add(() => Promise.resolve())).toBe(true));
  });

  it("goes on after a task that threw, whose error is not lost", async () => {
    const errors: unknown[] = [];
    const queue = new SerialQueue(2, (error) => errors.push(error));
    queue.add(() => Promise.reject(new Error("Task failed")));
    await new Promise<void>((resolve) => queue.add(() => Promise.resolve(resolve())));
    expect(errors).toEqual([new Error("Task failed")]);
  });
});
