import { describe, expect, test } from "vitest";
import { shapeConfig, type ShapeName, SHAPES } from "../../bench/shapes.ts";
import { syntheticModel } from "../../bench/synthetic_model.ts";
import { randomTile } from "../../bench/weight_tile.ts";
import { splitLayers, type WeightFormat } from "../../src/core.ts";
import { dequantize, nativeBytes, WEIGHT_FORMATS } from "../../src/formats/weight_format.ts";
import { checkTensors } from "../../src/models/check_tensors.ts";
import { architectureOf } from "../../src/models/registry.ts";

const FORMATS = Object.keys(WEIGHT_FORMATS) as WeightFormat[];

describe("randomTile()", () => {
  test.each(FORMATS)("makes finite %s weights of the size that trained ones have", (format) => {
    const numElements = 256 * 64;
    const tile = randomTile(format).subarray(0, nativeBytes(format, 1, numElements));
    const values = dequantize(format, tile, numElements);
    const squares = values.reduce((sum, value) => sum + value * value, 0);
    expect(values.every(Number.isFinite)).toBe(true);
    expect(Math.sqrt(squares / numElements)).toBeGreaterThan(0.005);
    expect(Math.sqrt(squares / numElements)).toBeLessThan(0.06);
  });
});

describe("syntheticModel()", () => {
  test.each(Object.keys(SHAPES) as ShapeName[])("has every tensor that %s needs", (shape) => {
    const source = syntheticModel(SHAPES[shape], { name: shape, format: "q4_0" });
    const config = shapeConfig(shape);
    const architecture = architectureOf(SHAPES[shape]);
    const [shard] = splitLayers(config.numLayers, 1);
    expect(checkTensors(source.tensors, { architecture, config, shard: shard! })).toEqual([]);
    expect(source.tensors.has("lm_head.weight")).toBe(!config.isTied);
  });

  test("reads the same bytes in any cut, and different rows in different places", async () => {
    const source = syntheticModel(SHAPES["qwen3-0.6b"], { name: "random", format: "q4_k" });
    const name = "model.layers.3.mlp.down_proj.weight";
    const rowBytes = nativeBytes("q4_k", 1, 3072);
    const whole = await source.readTensor(name, { start: 0, end: 900 * rowBytes });
    const cut = { start: 700 * rowBytes, end: 801 * rowBytes };
    expect(await source.readTensor(name, cut)).toEqual(whole.slice(cut.start, cut.end));
    const rows = new Set(
      Array.from(
        { length: 900 },
        (_, row) => whole.subarray(row * rowBytes, (row + 1) * rowBytes).join(),
      ),
    );
    expect(rows.size).toBe(900);
  });
});
