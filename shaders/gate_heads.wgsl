// y *= sigmoid(gate): y [num_tokens, NUM_HEADS, HEAD_DIM], gates behind each query head of x [num_tokens, STRIDE].
#include "step.wgsl"
@group(0) @binding(1) var<storage, read> x: array<f32>;        // (NUM_HEADS, 2, HEAD_DIM), then what is not read
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const COLS = NUM_HEADS * HEAD_DIM;

@compute @workgroup_size(64)
fn gate_heads(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = group.x * 64u + local;
  if (i >= COLS) { return; }
  let gate = x[group.y * STRIDE + i + (i / HEAD_DIM + 1u) * HEAD_DIM];
  y[group.y * COLS + i] /= 1.0 + exp(-gate);
}
