// Causal attention of single query tokens over the paged cache, any number of sequences at once.
// A workgroup computes HEADS query heads that share a KV head, for the token row decode_rows[y].
// Positions are taken in tiles of 64 from a multiple of 64, so the order of additions depends on the
// token's position alone: the same bits in any batch and for any cut of the prompt.
#include "step.wgsl"
#include "token_row.wgsl"
@group(0) @binding(1) var<storage, read> decode_rows: array<u32>;   // [num_decode_rows] -> token row
@group(0) @binding(2) var<storage, read> token_rows: array<TokenRow>;
@group(0) @binding(3) var<storage, read> block_tables: array<u32>;  // [sequences, MAX_BLOCKS]
@group(0) @binding(4) var<storage, read> qkv: array<f32>;           // [num_tokens, STRIDE]: q first
@group(0) @binding(5) var<storage, read> k_cache: array<u32>;
@group(0) @binding(6) var<storage, read> v_cache: array<u32>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;     // [num_tokens, NUM_HEADS * HEAD_DIM]
#if HAS_SINKS
@group(0) @binding(8) var<storage, read> sinks: array<f32>;         // [NUM_HEADS]: scores without a value
#endif
#include "kv_load.wgsl"

const TILE = 64u;                             // positions, one for each thread
const QUADS = HEAD_DIM / 4u;                  // vec4 in a head
const OWNED = (HEADS * QUADS + TILE - 1u) / TILE;  // output vec4 of each thread

var<workgroup> q: array<vec4f, HEADS * QUADS>;
var<workgroup> weights: array<f32, HEADS * TILE>;  // scores, then exp(score - max)
var<workgroup> rows: array<u32, TILE>;             // cache row of each position of the tile
var<workgroup> max_score: array<f32, HEADS>;
var<workgroup> sum: array<f32, HEADS>;
var<workgroup> rescale: array<f32, HEADS>;

@compute @workgroup_size(64)
fn attention_decode(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let row = decode_rows[group.y];
  let token = token_rows[row];
  let position = token.position;
  let first_head = group.x * HEADS;
  let kv_head = first_head / (NUM_HEADS / NUM_KV_HEADS);

  for (var i = local; i < HEADS * QUADS; i += TILE) {
    let at = row * STRIDE + first_head * HEAD_DIM + i * 4u;
    q[i] = vec4f(qkv[at], qkv[at + 1u], qkv[at + 2u], qkv[at + 3u]) * SCALE;
  }
  if (local < HEADS) {
#if HAS_SINKS
    max_score[local] = sinks[first_head + local];
    sum[local] = 1.0;
#else
    max_score[local] = -3.4e38;
    sum[local] = 0.0;
#endif
  }
  var owned = array<vec4f, OWNED>();

  var begin = 0u;
#if WINDOWED
  begin = select(0u, position + 1u - WINDOW, position + 1u > WINDOW);
#endif
  for (var tile = begin / TILE * TILE; tile <= position; tile += TILE) {
    workgroupBarrier();
    let key = tile + local;
    let is_seen = key >= begin && key <= position;
    if (is_seen) {
      let k_row = kv_row_of(token.sequence, key, kv_head);
      rows[local] = k_row;
      var scores = array<f32, HEADS>();
      for (var d = 0u; d < QUADS; d++) {
        let k = load_k4(k_row + d * 4u);
        for (var h = 0u; h < HEADS; h++) { scores[h] += dot(q[h * QUADS + d], k); }
      }
      for (var h = 0u; h < HEADS; h++) { weights[h * TILE + local] = scores[h]; }
    }
    workgroupBarrier();

    let first = select(0u, begin - tile, begin > tile);
    let last = min(TILE - 1u, position - tile);
    if (local < HEADS) {
      let old_max = max_score[local];
      var new_max = old_max;
      for (var j = first; j <= last; j++) { new_max = max(new_max, weights[local * TILE + j]); }
      let keep = exp(old_max - new_max);
      var total = sum[local] * keep;
      for (var j = first; j <= last; j++) {
        let weight = exp(weights[local * TILE + j] - new_max);
        weights[local * TILE + j] = weight;
        total += weight;
      }
      max_score[local] = new_max;
      sum[local] = total;
      rescale[local] = keep;
    }
    workgroupBarrier();

    for (var n = 0u; n < OWNED; n++) {
      let i = n * TILE + local;
      if (i < HEADS * QUADS) {
        let h = i / QUADS;
        var value = owned[n] * rescale[h];
        for (var j = first; j <= last; j++) {
          value += weights[h * TILE + j] * load_v4(rows[j] + (i % QUADS) * 4u);
        }
        owned[n] = value;
      }
    }
  }

  for (var n = 0u; n < OWNED; n++) {
    let i = n * TILE + local;
    if (i < HEADS * QUADS) {
      let value = owned[n] / sum[i / QUADS];
      let at = (row * NUM_HEADS + first_head) * HEAD_DIM + i * 4u;
      out[at] = value.x;
      out[at + 1u] = value.y;
      out[at + 2u] = value.z;
      out[at + 3u] = value.w;
    }
  }
}
