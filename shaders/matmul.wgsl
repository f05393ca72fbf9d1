// y[t, OUT_OFFSET + r] = sum_k W[r, k] x[t, k] (+ bias[r]) (+ y), for many tokens: 64 x 64 tiles, 4 x 4 a thread.
// Weights are widened tile by tile in workgroup memory; sums are f32 and run over k in order.
#if TILE_F16
enable f16;
alias Element = f16;
#else
alias Element = f32;
#endif
#include "step.wgsl"
#include "row_count.wgsl"
#include "vec8.wgsl"
@group(0) @binding(1) var<storage, read> weights: array<u32>;  // [ROWS, COLS] in WEIGHT_FORMAT
#if COLS_TAIL
@group(0) @binding(2) var<storage, read> x: array<f32>;        // [num_tokens, COLS]
#else
@group(0) @binding(2) var<storage, read> x: array<vec4f>;      // [num_tokens, COLS / 4]
#endif
@group(0) @binding(3) var<storage, read_write> y: array<f32>;  // [num_tokens, OUT_STRIDE]
#if HAS_BIAS
@group(0) @binding(4) var<storage, read> bias: array<f32>;     // [OUT_STRIDE]
#endif
#include "weight_${WEIGHT_FORMAT}.wgsl"
#include "load_x.wgsl"

const TILE = 64u;
const DEPTH = 16u;         // k of a tile: two units
const PITCH = TILE + 1u;   // keeps threads that store a column off one memory bank
const UNITS = (COLS + 7u) / 8u;

var<workgroup> w_tile: array<Element, DEPTH * PITCH>;  // [k][row]
var<workgroup> x_tile: array<Element, DEPTH * PITCH>;  // [k][token]

@compute @workgroup_size(256)
fn matmul(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let first_row = group.x * TILE;
  let first_token = group.y * TILE;
  let num_tokens = num_rows();
  let row = (local % 16u) * 4u;
  let token = (local / 16u) * 4u;

  var sums = array<vec4f, 4>();  // [token][row]
  for (var unit = 0u; unit < UNITS; unit += 2u) {
    // Half of the threads load the weights' tile, half the inputs': one unit of 8 each.
    let line = (local % 128u) / 2u;
    let my_unit = unit + local % 2u;
    var loaded = Vec8();
    if (my_unit < UNITS) {
      if (local < 128u) {
        loaded = load_weight8(min(first_row + line, ROWS - 1u), my_unit);
      } else {
        loaded = load_x8(min(first_token + line, num_tokens - 1u), my_unit);
      }
    }
    workgroupBarrier();
    let at = (local % 2u) * 8u * PITCH + line;
    for (var i = 0u; i < 4u; i++) {
      if (local < 128u) {
        w_tile[at + i * PITCH] = Element(loaded.lo[i]);
        w_tile[at + (i + 4u) * PITCH] = Element(loaded.hi[i]);
      } else {
        x_tile[at + i * PITCH] = Element(loaded.lo[i]);
        x_tile[at + (i + 4u) * PITCH] = Element(loaded.hi[i]);
      }
    }
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k++) {
      let w_at = k * PITCH + row;
      let x_at = k * PITCH + token;
      let w = vec4f(
        f32(w_tile[w_at]), f32(w_tile[w_at + 1u]), f32(w_tile[w_at + 2u]), f32(w_tile[w_at + 3u]));
      for (var t = 0u; t < 4u; t++) { sums[t] += w * f32(x_tile[x_at + t]); }
    }
  }

  for (var t = 0u; t < 4u; t++) {
    for (var r = 0u; r < 4u; r++) {
      let out_row = first_row + row + r;
      if (first_token + token + t < num_tokens && out_row < ROWS) {
        let at = (first_token + token + t) * OUT_STRIDE + OUT_OFFSET + out_row;
        var value = sums[t][r];
#if HAS_BIAS
        value += bias[OUT_OFFSET + out_row];
#endif
#if ACCUMULATE
        value += y[at];
#endif
        y[at] = value;
      }
    }
  }
}
