// Takes the queries, and the keys and values behind them, out of rows whose every query head has its gate beside it:
// [num_tokens, (NUM_HEADS, 2, HEAD_DIM) + REST] -> [num_tokens, (NUM_HEADS, HEAD_DIM) + REST].
#include "step.wgsl"
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const QUERY_SIZE = NUM_HEADS * HEAD_DIM;
const COLS = QUERY_SIZE + REST;

@compute @workgroup_size(64)
fn split_gate(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = group.x * 64u + local;
  if (i >= COLS) { return; }
  let gates_before = select(QUERY_SIZE, i / HEAD_DIM * HEAD_DIM, i < QUERY_SIZE);
  y[group.y * COLS + i] = x[group.y * (COLS + QUERY_SIZE) + i + gates_before];
}
