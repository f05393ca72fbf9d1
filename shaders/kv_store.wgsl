// Appends each token's K and V to the paged cache at its slot.
// One thread writes a word of K and one of V: two elements with KV_F16, else one.
#include "step.wgsl"
#include "token_row.wgsl"
#include "kv_row.wgsl"
@group(0) @binding(1) var<storage, read> token_rows: array<TokenRow>;
@group(0) @binding(2) var<storage, read> qkv: array<f32>;              // [num_tokens, STRIDE]: q, k, v
@group(0) @binding(3) var<storage, read_write> k_cache: array<u32>;    // [blocks, NUM_KV_HEADS, BLOCK_SIZE, HEAD_DIM]
@group(0) @binding(4) var<storage, read_write> v_cache: array<u32>;

const KV_SIZE = NUM_KV_HEADS * HEAD_DIM;

@compute @workgroup_size(64)
fn kv_store(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let token = group.y;
#if KV_F16
  let element = (group.x * 64u + local) * 2u;
#else
  let element = group.x * 64u + local;
#endif
  if (element >= KV_SIZE) { return; }
  let slot = token_rows[token].slot;
  let to = kv_row(slot / BLOCK_SIZE, element / HEAD_DIM, slot % BLOCK_SIZE) + element % HEAD_DIM;
  let k = token * STRIDE + K_OFFSET + element;
  let v = k + KV_SIZE;
#if KV_F16
  k_cache[to / 2u] = pack2x16float(vec2f(qkv[k], qkv[k + 1u]));
  v_cache[to / 2u] = pack2x16float(vec2f(qkv[v], qkv[v + 1u]));
#else
  k_cache[to] = bitcast<u32>(qkv[k]);
  v_cache[to] = bitcast<u32>(qkv[v]);
#endif
}
