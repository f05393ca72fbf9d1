// Rotates the query and key heads of each token in place, by the angles of its position.
// Heads [0, NUM_ROTATED_HEADS) of a row are queries, then keys. The first ROTARY_DIM elements of a head turn.
#include "step.wgsl"
#include "token_row.wgsl"
@group(0) @binding(1) var<storage, read> token_rows: array<TokenRow>;
@group(0) @binding(2) var<storage, read> angles: array<vec2f>;    // (cos, sin) [positions, ROTARY_DIM / 2]
@group(0) @binding(3) var<storage, read_write> qkv: array<f32>;   // [num_tokens, STRIDE]

@compute @workgroup_size(64)
fn rope(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let half_dim = ROTARY_DIM / 2u;
  let pair = group.x * 64u + local;
  if (pair >= NUM_ROTATED_HEADS * half_dim) { return; }
  let head = pair / half_dim;
  let i = pair % half_dim;
  let token = group.y;
  let start = token * STRIDE + head * HEAD_DIM;
#if INTERLEAVED
  let a = start + 2u * i;
  let b = a + 1u;
#else
  let a = start + i;
  let b = a + half_dim;
#endif
  let angle = angles[token_rows[token].position * half_dim + i];
  let value = vec2f(qkv[a], qkv[b]);
  qkv[a] = value.x * angle.x - value.y * angle.y;
  qkv[b] = value.y * angle.x + value.x * angle.y;
}
