// y = gelu(gate) * up, with gate and up side by side in each row: [num_tokens, 2 * COLS] -> [num_tokens, COLS].
// The tanh form of gelu: x / 2 * (1 + tanh(u)) = x / (1 + exp(-2u)), u = sqrt(2 / pi) * (x + 0.044715 x^3).
#include "step.wgsl"
@group(0) @binding(1) var<storage, read> gate_up: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const TWICE_SQRT_2_OVER_PI = 1.5957691216057308;

@compute @workgroup_size(64)
fn gelu_mul(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = group.x * 64u + local;
  if (i >= COLS) { return; }
  let gate = gate_up[group.y * 2u * COLS + i];
  // Beyond 10 the factor is 0 or 1 in f32, and the cube would overflow.
  let x = clamp(gate, -10.0, 10.0);
  let twice_u = TWICE_SQRT_2_OVER_PI * (x + 0.044715 * x * x * x);
  y[group.y * COLS + i] = gate / (1.0 + exp(-twice_u)) * gate_up[group.y * 2u * COLS + COLS + i];
}
