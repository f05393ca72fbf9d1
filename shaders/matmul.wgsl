// y[t, OUT_OFFSET + r] = sum_k W[r, k] x[t, k] (+ bias[r]) (+ y), for many tokens: tiles of
// TILE_ROWS x TILE_TOKENS, of which a thread sums 8 x 4. Weights are widened tile by tile in workgroup
// memory; sums are f32. SLICES groups of threads share them: each takes every SLICES-th unit of 8 in k,
// in order, and their sums are added in order, so that few tokens keep a device busy, too.
#if TILE_F16
enable f16;
alias Element4 = vec4<f16>;
#else
alias Element4 = vec4f;
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

const UNITS = (COLS + 7u) / 8u;
const LINES = TILE_ROWS + TILE_TOKENS;
const ROW_LANES = TILE_ROWS / 8u;                // threads along the rows of a tile
const TOKEN_LANES = TILE_TOKENS / 4u;
const LANES = ROW_LANES * TOKEN_LANES;           // threads of a slice
const LOADS = (LINES + LANES - 1u) / LANES;      // lines that a thread loads
const STEPS = (UNITS + SLICES - 1u) / SLICES;

#if SLICED
const TILE_SIZE = max(SLICES * 2u * LINES, 8u * LANES);
#else
const TILE_SIZE = 2u * LINES;
#endif

// [slice][k / 4][rows, then tokens]; later the sums of one slice.
var<workgroup> tile: array<Element4, TILE_SIZE>;
#if TILE_F16
var<workgroup> joined: array<vec4f, 8u * LANES>;            // [row][thread]: tokens
#endif

// f16 ends at 65504; an input beyond it, which some models have, must not become infinite.
fn element4(v: vec4f) -> Element4 {
#if TILE_F16
  return Element4(clamp(v, vec4f(-65504.0), vec4f(65504.0)));
#else
  return v;
#endif
}

#if SLICED
// Sums of one slice on their way to the first; in the tile, where it can hold them, to stay within 16 KiB.
fn put_sums(at: u32, sums: vec4f) {
#if TILE_F16
  joined[at] = sums;
#else
  tile[at] = sums;
#endif
}

fn get_sums(at: u32) -> vec4f {
#if TILE_F16
  return joined[at];
#else
  return tile[at];
#endif
}
#endif

@compute @workgroup_size(WORKGROUP_SIZE)
fn matmul(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let first_row = group.x * TILE_ROWS;
  let first_token = group.y * TILE_TOKENS;
  let num_tokens = num_rows();
  let slice = local / LANES;
  let lane = local % LANES;
  let row_lane = lane % ROW_LANES;
  let token_lane = lane / ROW_LANES;

  var sums = array<vec4f, 8>();  // [row]: tokens
  for (var step_index = 0u; step_index <= STEPS; step_index++) {
    // The next tile is on its way while the last one is summed.
    let unit = step_index * SLICES + slice;
    var held = array<Vec8, LOADS>();
    if (unit < UNITS) {
      for (var i = 0u; i < LOADS; i++) {
        let line = min(lane + i * LANES, LINES - 1u);
        if (line < TILE_ROWS) {
          held[i] = load_weight8(min(first_row + line, ROWS - 1u), unit);
        } else {
          held[i] = load_x8(min(first_token + line - TILE_ROWS, num_tokens - 1u), unit);
        }
      }
    }
    if (step_index > 0u) {
      for (var quad = 0u; quad < 2u; quad++) {
        let at = (slice * 2u + quad) * LINES;
        let x_at = at + TILE_ROWS + token_lane;
        let x0 = vec4f(tile[x_at]);
        let x1 = vec4f(tile[x_at + TOKEN_LANES]);
        let x2 = vec4f(tile[x_at + 2u * TOKEN_LANES]);
        let x3 = vec4f(tile[x_at + 3u * TOKEN_LANES]);
        for (var r = 0u; r < 8u; r++) {
          let w = vec4f(tile[at + row_lane + r * ROW_LANES]);
          sums[r] += w.x * vec4f(x0.x, x1.x, x2.x, x3.x);
          sums[r] += w.y * vec4f(x0.y, x1.y, x2.y, x3.y);
          sums[r] += w.z * vec4f(x0.z, x1.z, x2.z, x3.z);
          sums[r] += w.w * vec4f(x0.w, x1.w, x2.w, x3.w);
        }
      }
    }
    workgroupBarrier();
    for (var i = 0u; i < LOADS; i++) {
      let line = lane + i * LANES;
      if (line < LINES) {
        tile[slice * 2u * LINES + line] = element4(held[i].lo);
        tile[(slice * 2u + 1u) * LINES + line] = element4(held[i].hi);
      }
    }
    workgroupBarrier();
  }
#if SLICED
  for (var other = 1u; other < SLICES; other++) {
    if (slice == other) {
      for (var r = 0u; r < 8u; r++) { put_sums(r * LANES + lane, sums[r]); }
    }
    workgroupBarrier();
    if (slice == 0u) {
      for (var r = 0u; r < 8u; r++) { sums[r] += get_sums(r * LANES + lane); }
    }
    workgroupBarrier();
  }
  if (slice != 0u) { return; }
#endif

  for (var r = 0u; r < 8u; r++) {
    for (var t = 0u; t < 4u; t++) {
      let row = first_row + row_lane + r * ROW_LANES;
      let token = first_token + token_lane + t * TOKEN_LANES;
      if (token < num_tokens && row < ROWS) {
        let at = token * OUT_STRIDE + OUT_OFFSET + row;
        var value = sums[r][t];
#if HAS_BIAS
        value += bias[OUT_OFFSET + row];
#endif
#if ACCUMULATE
        value += y[at];
#endif
        y[at] = value;
      }
    }
  }
}
