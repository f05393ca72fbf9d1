// Copies whole blocks of a paged cache, one after the other: a block that got a copy may be copied on.
// A thread does its own 16 bytes in every copy, so that the order holds without barriers.
// PAIR: K and V; else one buffer of latents.
#include "step.wgsl"
@group(0) @binding(1) var<storage, read> pairs: array<vec2u>;           // (count, 0), then (from, to) [count]
@group(0) @binding(2) var<storage, read_write> cache: array<vec4u>;     // [blocks, BLOCK_UNITS]
#if PAIR
@group(0) @binding(3) var<storage, read_write> v_cache: array<vec4u>;
#endif

@compute @workgroup_size(64)
fn copy_blocks(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= BLOCK_UNITS) { return; }
  let count = pairs[0].x;
  for (var i = 1u; i <= count; i++) {
    let start = pairs[i] * BLOCK_UNITS + id.x;
    cache[start.y] = cache[start.x];
#if PAIR
    v_cache[start.y] = v_cache[start.x];
#endif
  }
}
