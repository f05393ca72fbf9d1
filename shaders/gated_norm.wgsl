// x = x / sqrt(mean(x^2) + EPS) * weight * silu(gate) over each head of COLS elements, in place.
#include "step.wgsl"
#include "workgroup_sum.wgsl"
@group(0) @binding(1) var<storage, read> weight: array<f32>;     // [COLS]
@group(0) @binding(2) var<storage, read> gates: array<f32>;      // [num_tokens, GATE_STRIDE]: groups of GROUP_HEADS heads
@group(0) @binding(3) var<storage, read_write> x: array<f32>;    // [num_tokens, NUM_HEADS, COLS]

@compute @workgroup_size(WORKGROUP_SIZE)
fn gated_norm(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let head = group.x;
  let start = (group.y * NUM_HEADS + head) * COLS;
  let gate_at = group.y * GATE_STRIDE + head / GROUP_HEADS * GROUP_STRIDE + GATE_OFFSET + head % GROUP_HEADS * COLS;
  var squares = 0.0;
  for (var i = local; i < COLS; i += WORKGROUP_SIZE) { squares += x[start + i] * x[start + i]; }
  let scale = inverseSqrt(workgroup_sum(squares, local) / f32(COLS) + EPS);
  for (var i = local; i < COLS; i += WORKGROUP_SIZE) {
    let gate = gates[gate_at + i];
    x[start + i] = x[start + i] * scale * weight[i] * (gate / (1.0 + exp(-gate)));
  }
}
