// destination[to] = source[from] for each pair of a list; no two pairs have one `to`.
#include "step.wgsl"
@group(0) @binding(1) var<storage, read> pairs: array<vec2u>;  // (count, 0), then (from, to) [count]
@group(0) @binding(2) var<storage, read> source: array<u32>;
@group(0) @binding(3) var<storage, read_write> destination: array<u32>;

@compute @workgroup_size(64)
fn copy_tokens(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= pairs[0].x) { return; }
  let pair = pairs[id.x + 1u];
  destination[pair.y] = source[pair.x];
}
