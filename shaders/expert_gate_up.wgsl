// y[t, k, i] = activation(gate row i of expert e times x[t], up row i times x[t]), e = experts[t, k], for those
// experts [FIRST_EXPERT, FIRST_EXPERT + ROWS / (2 * EXPERT_SIZE)) that this part of the weight holds. Few
// tokens at a time: each of a token's experts reads its own weights. Sums are split and joined as in matvec.
#include "step.wgsl"
#include "vec8.wgsl"
@group(0) @binding(1) var<storage, read> weights: array<u32>;  // [experts of the part, 2 * EXPERT_SIZE, COLS]
#if COLS_TAIL
@group(0) @binding(2) var<storage, read> x: array<f32>;        // [num_tokens, COLS]
#else
@group(0) @binding(2) var<storage, read> x: array<vec4f>;      // [num_tokens, COLS / 4]
#endif
@group(0) @binding(3) var<storage, read> experts: array<u32>;  // [num_tokens, PER_TOKEN]
@group(0) @binding(4) var<storage, read_write> y: array<f32>;  // [num_tokens, PER_TOKEN, EXPERT_SIZE]
#if HAS_BIAS
@group(0) @binding(5) var<storage, read> bias: array<f32>;     // [all experts, 2 * EXPERT_SIZE]
#endif
#include "weight_${WEIGHT_FORMAT}.wgsl"
#include "load_x.wgsl"
#include "lane_sum.wgsl"
#include "expert_activation.wgsl"

const UNITS = (COLS + 7u) / 8u;
const COLS_PER_GROUP = WORKGROUP_SIZE / LANES;

@compute @workgroup_size(WORKGROUP_SIZE)
fn expert_gate_up(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) num_groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let lane = local % LANES;
  let i = group.x * COLS_PER_GROUP + local / LANES;
  let column = min(i, EXPERT_SIZE - 1u);
  let num_pairs = step.num_tokens * PER_TOKEN;
  let pair = group.z * num_groups.y + group.y;
  let token = min(pair, num_pairs - 1u) / PER_TOKEN;
  // An expert below the first wraps to a large number.
  let expert = experts[min(pair, num_pairs - 1u)] - FIRST_EXPERT;
  let is_here = pair < num_pairs && expert < ROWS / (2u * EXPERT_SIZE);
  let first_row = select(0u, expert * 2u * EXPERT_SIZE, is_here);

  var gate = 0.0;
  var up = 0.0;
  for (var unit = lane; unit < select(0u, UNITS, is_here); unit += LANES) {
    let inputs = load_x8(token, unit);
    gate += dot8(load_weight8(first_row + gate_row(column), unit), inputs);
    up += dot8(load_weight8(first_row + up_row(column), unit), inputs);
  }
  gate = lane_sum(gate, local);
  up = lane_sum(up, local);
  if (lane == 0u && is_here && i < EXPERT_SIZE) {
#if HAS_BIAS
    let bias_at = (FIRST_EXPERT + expert) * 2u * EXPERT_SIZE;
    gate += bias[bias_at + gate_row(i)];
    up += bias[bias_at + up_row(i)];
#endif
    y[pair * EXPERT_SIZE + i] = activate(gate, up);
  }
}
