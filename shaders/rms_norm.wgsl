// y = x / sqrt(mean(x^2) + EPS) * weight, over NUM_GROUPS stretches of COLS elements in each row
// (1 for hidden states, the number of heads for query and key norms).
// UNIT_OFFSET multiplies by 1 + weight. ACCUMULATE adds to y instead of replacing it.
// With GATHER, output row r normalises input row sample_rows[r].
#include "step.wgsl"
#include "workgroup_sum.wgsl"
@group(0) @binding(1) var<storage, read> weight: array<f32>;   // [COLS]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // [rows, STRIDE], groups from OFFSET on
#if !IN_PLACE
@group(0) @binding(3) var<storage, read> x: array<f32>;        // [tokens, COLS]
#endif
#if GATHER
@group(0) @binding(4) var<storage, read> sample_rows: array<u32>;  // [num_samples]
#endif

fn factor(i: u32) -> f32 {
#if UNIT_OFFSET
  return 1.0 + weight[i];
#else
  return weight[i];
#endif
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn rms_norm(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let target_at = group.y * STRIDE + OFFSET + group.x * COLS;
#if GATHER
  let source_at = sample_rows[group.y] * COLS;
#else
  let source_at = target_at;
#endif
  var squares = 0.0;
  for (var i = local; i < COLS; i += WORKGROUP_SIZE) {
#if IN_PLACE
    let value = y[target_at + i];
#else
    let value = x[source_at + i];
#endif
    squares += value * value;
  }
  let scale = inverseSqrt(workgroup_sum(squares, local) / f32(COLS) + EPS);
  for (var i = local; i < COLS; i += WORKGROUP_SIZE) {
#if IN_PLACE
    let value = y[target_at + i] * scale * factor(i);
#else
    let value = x[source_at + i] * scale * factor(i);
#endif
#if ACCUMULATE
    y[target_at + i] += value;
#else
    y[target_at + i] = value;
#endif
  }
}
