// Reads from the paged cache; needs `block_tables` [sequences, MAX_BLOCKS], `k_cache` and `v_cache` bound.
#include "kv_row.wgsl"

// First element of a position's row.
fn kv_row_of(sequence: u32, position: u32, kv_head: u32) -> u32 {
  let block = block_tables[sequence * MAX_BLOCKS + position / BLOCK_SIZE];
  return kv_row(block, kv_head, position % BLOCK_SIZE);
}

// Four consecutive elements; `at` is a multiple of 4. KV_F16 keeps two f16 in a word.
#if KV_F16
fn load_k4(at: u32) -> vec4f {
  return vec4f(unpack2x16float(k_cache[at / 2u]), unpack2x16float(k_cache[at / 2u + 1u]));
}
fn load_v4(at: u32) -> vec4f {
  return vec4f(unpack2x16float(v_cache[at / 2u]), unpack2x16float(v_cache[at / 2u + 1u]));
}
#else
fn load_k4(at: u32) -> vec4f {
  return bitcast<vec4f>(vec4u(k_cache[at], k_cache[at + 1u], k_cache[at + 2u], k_cache[at + 3u]));
}
fn load_v4(at: u32) -> vec4f {
  return bitcast<vec4f>(vec4u(v_cache[at], v_cache[at + 1u], v_cache[at + 2u], v_cache[at + 3u]));
}
#endif
