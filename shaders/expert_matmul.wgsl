// One expert's matrix times the inputs of the pairs (token, k) that chose it, for many tokens: tiles of
// TILE_ROWS x TILE_TOKENS, of which a thread sums 8 x 4. Weights are widened tile by tile in workgroup memory.
// GATED: y[pair, i] = activation(gate row i times x[token], up row i times x[token]), where a tile has the gate
// rows of TILE_ROWS / 2 columns above their up rows. Else y[pair, r] = row r times x[pair] (+ bias).
#include "step.wgsl"
#include "vec8.wgsl"
@group(0) @binding(1) var<storage, read> weights: array<u32>;  // [experts of the part, EXPERT_ROWS, COLS]
#if COLS_TAIL
@group(0) @binding(2) var<storage, read> x: array<f32>;        // [num_tokens or pairs, COLS]
#else
@group(0) @binding(2) var<storage, read> x: array<vec4f>;      // [num_tokens or pairs, COLS / 4]
#endif
@group(0) @binding(3) var<storage, read> pairs: array<u32>;    // [num_tokens * PER_TOKEN], by expert
@group(0) @binding(4) var<storage, read> tiles: array<vec4u>;  // expert, first of pairs, how many
@group(0) @binding(5) var<storage, read_write> y: array<f32>;  // [num_tokens * PER_TOKEN, OUT_COLS]
#if HAS_BIAS
@group(0) @binding(6) var<storage, read> bias: array<f32>;     // [all experts, EXPERT_ROWS]
#endif
#include "weight_${WEIGHT_FORMAT}.wgsl"
#include "load_x.wgsl"
#if GATED
#include "expert_activation.wgsl"
const OUT_COLS = EXPERT_SIZE;
const TILE_COLS = TILE_ROWS / 2u;
const EXPERT_ROWS = 2u * EXPERT_SIZE;
#else
const OUT_COLS = EXPERT_ROWS;
const TILE_COLS = TILE_ROWS;
#endif

const UNITS = (COLS + 7u) / 8u;
const LINES = TILE_ROWS + TILE_TOKENS;
const ROW_LANES = TILE_ROWS / 8u;            // threads along the rows of a tile
const TOKEN_LANES = TILE_TOKENS / 4u;
const WORKGROUP_SIZE = ROW_LANES * TOKEN_LANES;
const LOADS = (LINES + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE;

var<workgroup> tile: array<vec4f, 2u * LINES>;  // [k / 4][rows, then tokens]

// Row of an expert's matrix that a line of the tile holds.
fn row_of(first_col: u32, line: u32) -> u32 {
#if GATED
  let col = min(first_col + line % TILE_COLS, OUT_COLS - 1u);
  if (line < TILE_COLS) { return gate_row(col); }
  return up_row(col);
#else
  return min(first_col + line, OUT_COLS - 1u);
#endif
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn expert_matmul(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let own = tiles[group.y];
  let first_pair = own.y;
  let num_pairs = own.z;
  // An expert below the first wraps to a large number.
  let expert = own.x - FIRST_EXPERT;
  if (num_pairs == 0u || expert >= ROWS / EXPERT_ROWS) { return; }
  let first_col = group.x * TILE_COLS;
  let row_lane = local % ROW_LANES;
  let token_lane = local / ROW_LANES;

  // Rows of the weight or of x.
  var sources = array<u32, LOADS>();
  for (var i = 0u; i < LOADS; i++) {
    let line = min(local + i * WORKGROUP_SIZE, LINES - 1u);
    if (line < TILE_ROWS) {
      sources[i] = expert * EXPERT_ROWS + row_of(first_col, line);
    } else {
      sources[i] = pairs[first_pair + min(line - TILE_ROWS, num_pairs - 1u)];
#if GATED
      sources[i] /= PER_TOKEN;
#endif
    }
  }

  var sums = array<vec4f, 8>();  // [row]: tokens
  for (var unit = 0u; unit <= UNITS; unit++) {
    // The next tile is on its way while the last one is summed.
    var held = array<Vec8, LOADS>();
    if (unit < UNITS) {
      for (var i = 0u; i < LOADS; i++) {
        if (min(local + i * WORKGROUP_SIZE, LINES - 1u) < TILE_ROWS) {
          held[i] = load_weight8(sources[i], unit);
        } else {
          held[i] = load_x8(sources[i], unit);
        }
      }
    }
    if (unit > 0u) {
      for (var quad = 0u; quad < 2u; quad++) {
        let x_at = quad * LINES + TILE_ROWS + token_lane;
        let x0 = tile[x_at];
        let x1 = tile[x_at + TOKEN_LANES];
        let x2 = tile[x_at + 2u * TOKEN_LANES];
        let x3 = tile[x_at + 3u * TOKEN_LANES];
        for (var r = 0u; r < 8u; r++) {
          let w = tile[quad * LINES + row_lane + r * ROW_LANES];
          sums[r] += w.x * vec4f(x0.x, x1.x, x2.x, x3.x);
          sums[r] += w.y * vec4f(x0.y, x1.y, x2.y, x3.y);
          sums[r] += w.z * vec4f(x0.z, x1.z, x2.z, x3.z);
          sums[r] += w.w * vec4f(x0.w, x1.w, x2.w, x3.w);
        }
      }
    }
    workgroupBarrier();
    for (var i = 0u; i < LOADS; i++) {
      let line = local + i * WORKGROUP_SIZE;
      if (line < LINES) {
        tile[line] = held[i].lo;
        tile[LINES + line] = held[i].hi;
      }
    }
    workgroupBarrier();
  }

#if HAS_BIAS
  let bias_at = (FIRST_EXPERT + expert) * EXPERT_ROWS;
  for (var r = 0u; r < 8u; r++) {
    sums[r] += bias[bias_at + row_of(first_col, row_lane + r * ROW_LANES)];
  }
#endif
  for (var t = 0u; t < 4u; t++) {
    let line = token_lane + t * TOKEN_LANES;
    if (line < num_pairs) {
      let y_at = pairs[first_pair + line] * OUT_COLS;
#if GATED
      for (var r = 0u; r < 4u; r++) {
        let col = first_col + row_lane + r * ROW_LANES;
        if (col < OUT_COLS) { y[y_at + col] = activate(sums[r][t], sums[r + 4u][t]); }
      }
#else
      for (var r = 0u; r < 8u; r++) {
        let col = first_col + row_lane + r * ROW_LANES;
        if (col < OUT_COLS) { y[y_at + col] = sums[r][t]; }
      }
#endif
    }
  }
}
