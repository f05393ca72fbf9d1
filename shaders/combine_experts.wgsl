// y[t, i] += sum_k weights[t, k] * x[t, k, i], k ascending.
#include "step.wgsl"
@group(0) @binding(1) var<storage, read> x: array<f32>;        // [num_tokens, PER_TOKEN, COLS]
@group(0) @binding(2) var<storage, read> weights: array<f32>;  // [num_tokens, PER_TOKEN]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;  // [num_tokens, COLS]

@compute @workgroup_size(64)
fn combine_experts(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = group.x * 64u + local;
  if (i >= COLS) { return; }
  var sum = 0.0;
  for (var k = 0u; k < PER_TOKEN; k++) {
    let pair = group.y * PER_TOKEN + k;
    sum += weights[pair] * x[pair * COLS + i];
  }
  y[group.y * COLS + i] += sum;
}
