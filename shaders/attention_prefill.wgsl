// Causal attention of a tile of up to Q_ROWS consecutive query tokens of one sequence over the paged cache.
// A workgroup computes one query head of one tile; each K and V row is read once for all its queries.
#include "step.wgsl"
@group(0) @binding(1) var<storage, read> tiles: array<vec4u>;      // [num_tiles]: first row, rows, position of first, sequence
@group(0) @binding(2) var<storage, read> block_tables: array<u32>; // [sequences, MAX_BLOCKS]
@group(0) @binding(3) var<storage, read> qkv: array<f32>;          // [num_tokens, STRIDE]: q first
@group(0) @binding(4) var<storage, read> k_cache: array<u32>;
@group(0) @binding(5) var<storage, read> v_cache: array<u32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;    // [num_tokens, NUM_HEADS * HEAD_DIM]
#if HAS_SINKS
@group(0) @binding(7) var<storage, read> sinks: array<f32>;        // [NUM_HEADS]: scores without a value
#endif
#include "kv_load.wgsl"

const KEYS = 32u;               // positions in a tile
const QUADS = HEAD_DIM / 4u;    // vec4 in a head
const OWNED = (Q_ROWS * QUADS + 63u) / 64u;  // output vec4 of each thread
const ROWS_PER_THREAD = Q_ROWS * KEYS / 64u;

var<workgroup> q: array<vec4f, Q_ROWS * QUADS>;
var<workgroup> weights: array<f32, Q_ROWS * KEYS>;  // scores, then exp(score - max)
var<workgroup> rows: array<u32, KEYS>;
var<workgroup> max_score: array<f32, Q_ROWS>;
var<workgroup> sum: array<f32, Q_ROWS>;
var<workgroup> rescale: array<f32, Q_ROWS>;

@compute @workgroup_size(64)
fn attention_prefill(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let head = group.x;
  let kv_head = head / (NUM_HEADS / NUM_KV_HEADS);
  let query = tiles[group.y];
  let last_position = query.z + query.y - 1u;

  for (var i = local; i < Q_ROWS * QUADS; i += 64u) {
    let row = query.x + min(i / QUADS, query.y - 1u);
    let at = row * STRIDE + head * HEAD_DIM + (i % QUADS) * 4u;
    q[i] = vec4f(qkv[at], qkv[at + 1u], qkv[at + 2u], qkv[at + 3u]) * SCALE;
  }
  if (local < Q_ROWS) {
#if HAS_SINKS
    max_score[local] = sinks[head];
    sum[local] = 1.0;
#else
    max_score[local] = -3.4e38;
    sum[local] = 0.0;
#endif
  }
  var owned = array<vec4f, OWNED>();

  var begin = 0u;
#if WINDOWED
  begin = select(0u, query.z + 1u - WINDOW, query.z + 1u > WINDOW);
#endif
  for (var tile = begin; tile <= last_position; tile += KEYS) {
    workgroupBarrier();
    // Each thread scores one key against every second row of the query tile.
    let key = tile + local % KEYS;
    let k_row = kv_row_of(query.w, min(key, last_position), kv_head);
    if (local < KEYS) { rows[local] = k_row; }
    var scores = array<f32, ROWS_PER_THREAD>();
    for (var d = 0u; d < QUADS; d++) {
      let k = load_k4(k_row + d * 4u);
      for (var n = 0u; n < ROWS_PER_THREAD; n++) {
        scores[n] += dot(q[(n * 2u + local / KEYS) * QUADS + d], k);
      }
    }
    for (var n = 0u; n < ROWS_PER_THREAD; n++) {
      let r = n * 2u + local / KEYS;
      let position = query.z + r;
#if WINDOWED
      let is_seen = key <= position && key + WINDOW > position;
#else
      let is_seen = key <= position;
#endif
      weights[r * KEYS + local % KEYS] = select(-3.4e38, scores[n], is_seen);
    }
    workgroupBarrier();

    if (local < Q_ROWS) {
      let old_max = max_score[local];
      var new_max = old_max;
      for (var j = 0u; j < KEYS; j++) { new_max = max(new_max, weights[local * KEYS + j]); }
      let keep = exp(old_max - new_max);
      var total = sum[local] * keep;
      for (var j = 0u; j < KEYS; j++) {
        let score = weights[local * KEYS + j];
        let weight = select(0.0, exp(score - new_max), score > -3.0e38);
        weights[local * KEYS + j] = weight;
        total += weight;
      }
      max_score[local] = new_max;
      sum[local] = total;
      rescale[local] = keep;
    }
    workgroupBarrier();

    for (var n = 0u; n < OWNED; n++) {
      let i = n * 64u + local;
      if (i < Q_ROWS * QUADS) { owned[n] *= rescale[i / QUADS]; }
    }
    for (var j = 0u; j < KEYS; j++) {
      for (var n = 0u; n < OWNED; n++) {
        let i = n * 64u + local;
        if (i < Q_ROWS * QUADS) {
          owned[n] += weights[(i / QUADS) * KEYS + j] * load_v4(rows[j] + (i % QUADS) * 4u);
        }
      }
    }
  }

  for (var n = 0u; n < OWNED; n++) {
    let i = n * 64u + local;
    let r = i / QUADS;
    if (r < query.y) {
      let value = owned[n] / sum[r];
      let at = ((query.x + r) * NUM_HEADS + head) * HEAD_DIM + (i % QUADS) * 4u;
      out[at] = value.x;
      out[at + 1u] = value.y;
      out[at + 2u] = value.z;
      out[at + 3u] = value.w;
    }
  }
}
