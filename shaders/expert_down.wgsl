// y[t, r] += sum_k weights[t, k] * (row r of expert e times x[t, k] (+ bias[e, r])), e = experts[t, k], k ascending,
// over those experts [FIRST_EXPERT, FIRST_EXPERT + ROWS / OUT_ROWS) that this part of the weight holds. Few tokens
// at a time: each of a token's experts reads its own weights. A token's sum depends on no other token.
#include "step.wgsl"
#include "vec8.wgsl"
@group(0) @binding(1) var<storage, read> weights: array<u32>;         // [experts of the part, OUT_ROWS, COLS]
#if COLS_TAIL
@group(0) @binding(2) var<storage, read> x: array<f32>;               // [num_tokens * PER_TOKEN, COLS]
#else
@group(0) @binding(2) var<storage, read> x: array<vec4f>;             // [num_tokens * PER_TOKEN, COLS / 4]
#endif
@group(0) @binding(3) var<storage, read> experts: array<u32>;         // [num_tokens, PER_TOKEN]
@group(0) @binding(4) var<storage, read> expert_weights: array<f32>;  // [num_tokens, PER_TOKEN]
@group(0) @binding(5) var<storage, read_write> y: array<f32>;         // [num_tokens, OUT_ROWS]
#if HAS_BIAS
@group(0) @binding(6) var<storage, read> bias: array<f32>;            // [all experts, OUT_ROWS]
#endif
#include "weight_${WEIGHT_FORMAT}.wgsl"
#include "load_x.wgsl"
#include "lane_sum.wgsl"

const UNITS = (COLS + 7u) / 8u;
const ROWS_PER_GROUP = WORKGROUP_SIZE / LANES;

@compute @workgroup_size(WORKGROUP_SIZE)
fn expert_down(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) num_groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let lane = local % LANES;
  let row = (group.z * num_groups.x + group.x) * ROWS_PER_GROUP + local / LANES;
  let token = group.y;

  var sum = 0.0;
  for (var k = 0u; k < PER_TOKEN; k++) {
    let pair = token * PER_TOKEN + k;
    let expert = experts[pair] - FIRST_EXPERT;
    // An expert below the first wraps to a large number.
    let is_here = expert < ROWS / OUT_ROWS;
    let weight_row = select(0u, expert * OUT_ROWS, is_here) + min(row, OUT_ROWS - 1u);
    var dots = 0.0;
    for (var unit = lane; unit < select(0u, UNITS, is_here); unit += LANES) {
      dots += dot8(load_weight8(weight_row, unit), load_x8(pair, unit));
    }
#if HAS_BIAS
    if (is_here && lane == 0u) {
      dots += bias[FIRST_EXPERT * OUT_ROWS + weight_row];
    }
#endif
    sum += select(0.0, expert_weights[pair] * dots, is_here);
  }
  sum = lane_sum(sum, local);
  if (lane == 0u && row < OUT_ROWS) { y[token * OUT_ROWS + row] += sum; }
}
