import { describe, expect, test } from "vitest";
import fc from "fast-check";
import { formatIceServer, IceServerError, parseIceServer } from "../../src/mesh/ice_server.ts";

describe("parseIceServer()", () => {
  test("reads STUN servers, and TURN servers with their login", () => {
    expect(parseIceServer("stun:stun.example.org")).toEqual({ urls: "stun:stun.example.org" });
    expect(parseIceServer("STUNS:192.0.2.7:5349")).toEqual({ urls: "stuns:192.0.2.7:5349" });
    expect(parseIceServer("turn:ada:p%40ss%3Aword@[2001:db8::1]:3478?transport=tcp")).toEqual({
      urls: "turn:[2001:db8::1]:3478?transport=tcp",
      username: "ada",
      credential: "p@ss:word",
    });
  });

  test("names what is wrong without the password", () => {
    const bad = [
      ...["", "stun:", "stun:a b", "stun://a", "http://a", "stun:a:port", "stun:a:123456"],
      ...["stun:user:hunter2@a", "turn:a:3478", "turn:user@a", "turn:user:@a", "turns:hunter2"],
      ...["turn:us%er:hunter2@a", "turn:user:hunter2%@a", "turn:user:hunter2@a?transport=tls"],
      ...["turn:user:hunter2@", "turn:user:hunter2@a\nb", "turn:a:b:hunter2@c"],
    ];
    for (const text of bad) {
      expect(() => parseIceServer(text), text).toThrow(IceServerError);
      expect(() => parseIceServer(text), text).toThrow(/^(?!.*hunter2)/s);
    }
  });

  test("throws nothing else, whatever it is given", () => {
    const part = fc.constantFrom(
      "turn",
      "stun",
      ":",
      "@",
      "%",
      "%41",
      "a",
      "[",
      "]",
      "?",
      "=",
      "1",
    );
    fc.assert(fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
      try {
        expect(formatIceServer(parseIceServer(parts.join("")))).toMatch(/^(stun|turn):/);
      } catch (error) {
        expect(error).toBeInstanceOf(IceServerError);
      }
    }));
  });

  test("reads what formatIceServer() wrote, with any login", () => {
    const login = fc.string({ minLength: 1, unit: "grapheme" });
    fc.assert(fc.property(login, login, (username, credential) => {
      const server = { urls: "turn:turn.example.org:3478", username, credential };
      expect(parseIceServer(formatIceServer(server))).toEqual(server);
    }));
    const stun = { urls: "stun:stun.example.org:3478" };
    expect(parseIceServer(formatIceServer(stun))).toEqual(stun);
  });
});
