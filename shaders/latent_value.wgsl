// Each head's value rows of kv_b times the latents that it saw: [num_tokens, NUM_HEADS, VALUE_DIM].
// A row's sum is split over LANES threads and joined in a fixed order, whatever the number of tokens.
#include "step.wgsl"
#include "vec8.wgsl"
@group(0) @binding(1) var<storage, read> weights: array<u32>;   // rows START_ROW... of [NUM_HEADS, NOPE_DIM + VALUE_DIM, COLS]
@group(0) @binding(2) var<storage, read> seen: array<vec4f>;    // [num_tokens, NUM_HEADS, WIDTH / 4]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
#include "weight_${WEIGHT_FORMAT}.wgsl"
#include "lane_sum.wgsl"

const UNITS = (COLS + 7u) / 8u;
const QUADS = WIDTH / 4u;
const ROWS_PER_GROUP = WORKGROUP_SIZE / LANES;
const OUT_ROWS = NUM_HEADS * VALUE_DIM;

@compute @workgroup_size(WORKGROUP_SIZE)
fn latent_value(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) num_groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let lane = local % LANES;
  let out_row = (group.z * num_groups.x + group.x) * ROWS_PER_GROUP + local / LANES;
  let head = min(out_row / VALUE_DIM, NUM_HEADS - 1u);
  let row = head * (NOPE_DIM + VALUE_DIM) + NOPE_DIM + out_row % VALUE_DIM;
  let is_here = out_row < OUT_ROWS && row >= START_ROW && row < START_ROW + ROWS;
  let weight_row = select(0u, row - START_ROW, is_here);
  let first_token = group.y * TOKENS;
  let last_token = step.num_tokens - 1u;

  // With COLS_TAIL the last unit's weights are zero where what follows the latent would be multiplied.
  var sums = array<f32, TOKENS>();
  for (var unit = lane; unit < UNITS; unit += LANES) {
    let w = load_weight8(weight_row, unit);
    for (var t = 0u; t < TOKENS; t++) {
      let at = (min(first_token + t, last_token) * NUM_HEADS + head) * QUADS + unit * 2u;
      sums[t] += dot8(w, Vec8(seen[at], seen[at + 1u]));
    }
  }

  for (var t = 0u; t < TOKENS; t++) {
    let sum = lane_sum(sums[t], local);
    let token = first_token + t;
    if (lane == 0u && is_here && token <= last_token) { y[token * OUT_ROWS + out_row] = sum; }
  }
}
