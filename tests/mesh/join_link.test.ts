import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeBase64Url } from "../../src/mesh/base64url.ts";
import {
  formatJoinLink,
  generateJoinLink,
  JoinLinkError,
  parseJoinLink,
  redactLink,
} from "../../src/mesh/join_link.ts";
import { meshCrypto } from "../../src/platform/web_crypto.ts";

const ROOM = "AAECAwQFBgcICQoLDA0ODw";
const SECRET = "8PHy8_T19vf4-fr7_P3-_w";
const LINK = `http://192.168.1.5:9931/#v1.${ROOM}.${SECRET}`;

describe("parseJoinLink()", () => {
  it("reads room and secret, and finds signaling at the page's own origin", () => {
    expect(parseJoinLink(` ${LINK}\n`)).toEqual({
      pageUrl: "http://192.168.1.5:9931/",
      room: ROOM,
      secret: Uint8Array.from({ length: 16 }, (_, i) => 0xf0 + i),
      signalingUrl: "ws://192.168.1.5:9931/signaling",
      coordinatorId: null,
      iceServers: [],
    });
    expect(parseJoinLink(`https://mesh.example/a/b#v1.${ROOM}.${SECRET}`)).toMatchObject({
      pageUrl: "https://mesh.example/a/b",
      signalingUrl: "wss://mesh.example/signaling",
    });
  });

  it("takes signaling address and coordinator from the link, and leaves alone what it does not know", () => {
    const id = "0123456789abcdef".repeat(2);
    const fields = `&signaling=wss%3A%2F%2Fhost%3A4444%2Fs%3Fa%3Db&later=1&coordinator=${id}`;
    expect(parseJoinLink(`https://pages.example/tessera/#v1.${ROOM}.${SECRET}${fields}`))
      .toMatchObject({ signalingUrl: "wss://host:4444/s?a=b", coordinatorId: id });
  });

  it.each([
    ["a text that is no URL", `v1.${ROOM}.${SECRET}`, "is not a URL"],
    ["nothing", "", "is not a URL"],
    ["another scheme", LINK.replace("http:", "ftp:"), '"ftp:"'],
    ["no fragment", "http://192.168.1.5:9931/", 'no part after "#"'],
    ["an empty fragment", "http://192.168.1.5:9931/#", 'no part after "#"'],
    ["another page's fragment", "http://192.168.1.5:9931/#chapter", "not of a join link"],
    [
      "a later version",
      LINK.replace("#v1", "#v2"),
      'version "v2", this program knows "v1": update',
    ],
    ["no secret", LINK.slice(0, LINK.lastIndexOf(".")), "cut off in its secret"],
    ["half a room", LINK.slice(0, LINK.indexOf(ROOM) + 9), "cut off in its room"],
    ["a secret cut by one character", LINK.slice(0, -1), "cut off in its secret"],
    ["a full stop after the link", `${LINK}.`, "goes on after its secret"],
    ["letters after the link", `${LINK}etc`, "secret is too long"],
    ["a secret with other characters", LINK.replace("8PHy8", "8P%20y8").slice(0, -2), "changed"],
    ["a secret with bits too many", `${LINK.slice(0, -1)}x`, "changed on the way"],
    ["a signaling address of a page", `${LINK}&signaling=https://a`, '"https://a" is not a URL of'],
    ["an empty signaling address", `${LINK}&signaling=`, 'signaling address ""'],
    ["a coordinator that is no id", `${LINK}&coordinator=ABC`, 'id "ABC"'],
  ])("refuses %s, says the fix and keeps the secret", (_, text, problem) => {
    expect(() => parseJoinLink(text)).toThrow(JoinLinkError);
    const message = messageOf(() => parseJoinLink(text));
    expect(message).toContain(problem);
    expect(message).toMatch(/copy|update|correct/);
    expect(message).not.toContain(SECRET.slice(0, 12));
  });

  it("throws nothing but JoinLinkErrors, whatever it is given", () => {
    const almost = fc.tuple(fc.nat(LINK.length), fc.string({ maxLength: 30 })).map(
      ([length, tail]) => LINK.slice(0, length) + tail,
    );
    fc.assert(
      fc.property(
        fc.oneof(
          almost,
          fc.string().map((text) => `http://a/#${text}`),
          fc.string(),
        ),
        (text) => {
          try {
            parseJoinLink(text);
          } catch (error) {
            expect(error).toBeInstanceOf(JoinLinkError);
          }
        },
      ),
    );
  });
});

describe("generateJoinLink() and formatJoinLink()", () => {
  it("make a link of 128 random bits that reads back the same", () => {
    fc.assert(fc.property(
      fc.webUrl({
        withFragments: true,
        withQueryParameters: true,
        validSchemes: ["http", "https"],
      }),
      fc.option(fc.webUrl({ validSchemes: ["ws", "wss"], withQueryParameters: true })),
      fc.boolean(),
      fc.array(
        fc.record({
          urls: fc.constantFrom("turn:turn.example.org:3478?transport=tcp", "turns:[2001:db8::1]"),
          username: fc.string({ minLength: 1 }),
          credential: fc.string({ minLength: 1, unit: "grapheme" }),
        }),
        { maxLength: 2 },
      ),
      (pageUrl, signalingUrl, hasCoordinator, iceServers) => {
        const link = generateJoinLink(meshCrypto, {
          pageUrl,
          ...(signalingUrl !== null && { signalingUrl }),
          ...(hasCoordinator && { coordinatorId: "0f".repeat(16) }),
          iceServers: [{ urls: "stun:stun.example.org" }, ...iceServers],
        });
        expect(link.secret).toHaveLength(16);
        expect(parseJoinLink(formatJoinLink(link))).toEqual(link);
      },
    ));
  });

  it("write only what the page's address does not say already", () => {
    expect(formatJoinLink(parseJoinLink(LINK))).toBe(LINK);
    expect(
      formatJoinLink(parseJoinLink(`${LINK}&signaling=ws%3A%2F%2F192.168.1.5%3A9931%2Fsignaling`)),
    )
      .toBe(LINK);
    expect(formatJoinLink(parseJoinLink(`${LINK}&signaling=wss://b/`)))
      .toBe(`${LINK}&signaling=wss%3A%2F%2Fb%2F`);
  });

  it("never make the same secret or room twice", () => {
    const links = Array.from({ length: 50 }, () => generateJoinLink(meshCrypto, { pageUrl: LINK }));
    const parts = links.flatMap(({ room, secret }) => [room, encodeBase64Url(secret)]);
    expect(new Set(parts).size).toBe(100);
    expect(links[0]?.pageUrl).toBe("http://192.168.1.5:9931/");
  });

  it("refuse an unusable signaling address", () => {
    expect(() => generateJoinLink(meshCrypto, { pageUrl: LINK, signalingUrl: "mesh.example" }))
      .toThrow('"mesh.example" is not a URL of "ws:" or "wss:"');
  });
});

describe("redactLink()", () => {
  it("hides secrets and leaves the rest readable", () => {
    const redacted = `http://192.168.1.5:9931/#v1.${ROOM}.***`;
    expect(redactLink(LINK)).toBe(redacted);
    expect(redactLink(`Open "${LINK}" or ${LINK}&signaling=wss://b/ now`))
      .toBe(`Open "${redacted}" or ${redacted}&signaling=wss://b/ now`);
    expect(redactLink(`http://a/%23v1.${ROOM}.${SECRET}`)).toBe(`http://a/%23v1.${ROOM}.***`);
    expect(redactLink(`${LINK}&ice=turns%3Aada%3Ahunter2%40a&ice=stun%3Ab&ice=turn:ada:pw@c`)).toBe(
      `http://192.168.1.5:9931/#v1.${ROOM}.***&ice=turns%3A***&ice=stun%3Ab&ice=turn:***`,
    );
    expect(redactLink(`v1.${ROOM}.${SECRET.slice(0, 7)}`)).toBe(`v1.${ROOM}.***`);
    for (const text of ["Tessera v0.1.0-rc.1", "v1.2.3 at http://a:1/#v1"]) {
      expect(redactLink(text)).toBe(text);
    }
  });
});

function messageOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("Nothing was thrown");
}
