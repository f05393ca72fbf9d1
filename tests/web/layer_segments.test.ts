import fc from "fast-check";
import { expect, test } from "vitest";
import { layerSegments, rangeText } from "../../web/src/layer_segments.ts";
import { watching } from "./mesh_states.ts";

const { peers } = watching({}).status;

test("layers that nobody holds are shown as such, before, between and after those held", () => {
  const [, second] = peers;
  const segments = layerSegments([second!], 30);
  expect(segments.map(({ startLayer, endLayer, peer }) => [startLayer, endLayer, peer?.name]))
    .toEqual([[0, 14, undefined], [14, 24, "Chrome on Windows"], [24, 30, undefined]]);
  expect(layerSegments([], 30)).toEqual([{ startLayer: 0, endLayer: 30, peer: null }]);
});

test("every layer is in one segment, whatever the peers say", () => {
  const range = fc.tuple(fc.nat(40), fc.nat(40)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)]);
  fc.assert(fc.property(fc.array(range), (ranges) => {
    const odd = ranges.map(([startLayer, endLayer]) => ({
      ...peers[0]!,
      startLayer: startLayer!,
      endLayer: endLayer!,
    }));
    const segments = layerSegments(odd, 41);
    segments.forEach(({ startLayer }, i) =>
      expect(startLayer).toBe(segments[i - 1]?.endLayer ?? 0)
    );
    expect(segments.at(-1)?.endLayer).toBe(41);
  }));
});

test("ranges are told with both ends", () => {
  expect([rangeText(0, 14), rangeText(7, 8)]).toEqual(["0 to 13", "7"]);
});
