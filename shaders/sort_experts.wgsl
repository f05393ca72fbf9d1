// Pairs (token, k) by expert, and tiles of up to TILE_TOKENS of them that share one. One workgroup for the batch.
// The order of an expert's pairs may differ from run to run: no sum depends on it.
#include "step.wgsl"
@group(0) @binding(1) var<storage, read> experts: array<u32>;       // [num_tokens, PER_TOKEN]
@group(0) @binding(2) var<storage, read_write> pairs: array<u32>;   // [num_tokens * PER_TOKEN]: rows of experts
@group(0) @binding(3) var<storage, read_write> tiles: array<vec4u>; // expert, first of pairs, how many; 0 behind the last

const WORKGROUP_SIZE = 256u;

var<workgroup> counts: array<atomic<u32>, NUM_EXPERTS>;
var<workgroup> starts: array<atomic<u32>, NUM_EXPERTS>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn sort_experts(@builtin(local_invocation_index) local: u32) {
  let num_pairs = step.num_tokens * PER_TOKEN;
  for (var e = local; e < NUM_EXPERTS; e += WORKGROUP_SIZE) { atomicStore(&counts[e], 0u); }
  workgroupBarrier();
  for (var pair = local; pair < num_pairs; pair += WORKGROUP_SIZE) {
    atomicAdd(&counts[experts[pair]], 1u);
  }
  workgroupBarrier();
  for (var e = local; e < NUM_EXPERTS; e += WORKGROUP_SIZE) {
    var start = 0u;
    var tile = 0u;
    for (var other = 0u; other < e; other++) {
      let count = atomicLoad(&counts[other]);
      start += count;
      tile += (count + TILE_TOKENS - 1u) / TILE_TOKENS;
    }
    atomicStore(&starts[e], start);
    let count = atomicLoad(&counts[e]);
    for (var first = 0u; first < count; first += TILE_TOKENS) {
      tiles[tile] = vec4u(e, start + first, min(TILE_TOKENS, count - first), 0u);
      tile++;
    }
    if (e == NUM_EXPERTS - 1u) {
      // As many as expert_matmul is dispatched for.
      for (; tile < num_pairs / TILE_TOKENS + min(NUM_EXPERTS, num_pairs); tile++) {
        tiles[tile] = vec4u();
      }
    }
  }
  workgroupBarrier();
  for (var pair = local; pair < num_pairs; pair += WORKGROUP_SIZE) {
    pairs[atomicAdd(&starts[experts[pair]], 1u)] = pair;
  }
}
