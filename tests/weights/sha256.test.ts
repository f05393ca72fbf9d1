import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Sha256 } from "../../src/weights/sha256.ts";

test("Sha256 hashes pieces of any size as the system does", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 8 }), (pieces) => {
      const hash = new Sha256();
      const expected = createHash("sha256");
      for (const piece of pieces) {
        hash.update(piece);
        expected.update(piece);
      }
      expect(hash.digest()).toBe(expected.digest("hex"));
    }),
    { numRuns: 500 },
  );
});
