// Heads of another size, cut off or with zeros behind them: [num_tokens, NUM_HEADS, FROM_DIM] -> [num_tokens, NUM_HEADS, TO_DIM].
#include "step.wgsl"
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const COLS = NUM_HEADS * TO_DIM;

@compute @workgroup_size(64)
fn resize_heads(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = group.x * 64u + local;
  if (i >= COLS) { return; }
  let element = i % TO_DIM;
  let from_head = (group.y * NUM_HEADS + i / TO_DIM) * FROM_DIM;
  var value = 0.0;
  if (element < FROM_DIM) { value = x[from_head + element]; }
  y[group.y * COLS + i] = value;
}
