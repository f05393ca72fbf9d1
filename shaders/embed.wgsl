// out[t, :] = W[token_ids[t], :] * SCALE, for the rows [START_ROW, START_ROW + ROWS) that this part of W holds.
#include "step.wgsl"
#include "vec8.wgsl"
@group(0) @binding(1) var<storage, read> token_ids: array<u32>;  // [num_tokens]
@group(0) @binding(2) var<storage, read> weights: array<u32>;    // [ROWS, COLS] in WEIGHT_FORMAT
@group(0) @binding(3) var<storage, read_write> out: array<f32>;  // [num_tokens, COLS]
#include "weight_${WEIGHT_FORMAT}.wgsl"

@compute @workgroup_size(64)
fn embed(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let token = group.y;
  let row = token_ids[token] - START_ROW;
  let unit = group.x * 64u + local;
  // An id below START_ROW wraps to a large row, and belongs to another part too.
  if (row >= ROWS || unit * 8u >= COLS) { return; }
  let w = load_weight8(row, unit);
  for (var i = 0u; i < min(8u, COLS - unit * 8u); i++) {
    out[token * COLS + unit * 8u + i] = select(w.hi[i % 4u], w.lo[i % 4u], i < 4u) * SCALE;
  }
}
