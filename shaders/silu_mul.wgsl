// y = silu(gate) * up, with gate and up side by side in each row: [num_tokens, 2 * COLS] -> [num_tokens, COLS].
// With HAS_ROW_GATE each row is multiplied by the sigmoid of its own number.
#include "step.wgsl"
@group(0) @binding(1) var<storage, read> gate_up: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
#if HAS_ROW_GATE
@group(0) @binding(3) var<storage, read> row_gate: array<f32>;  // [num_tokens]
#endif

@compute @workgroup_size(64)
fn silu_mul(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = group.x * 64u + local;
  if (i >= COLS) { return; }
  let gate = gate_up[group.y * 2u * COLS + i];
  var value = gate / (1.0 + exp(-gate)) * gate_up[group.y * 2u * COLS + COLS + i];
#if HAS_ROW_GATE
  value /= 1.0 + exp(-row_gate[group.y]);
#endif
  y[group.y * COLS + i] = value;
}
