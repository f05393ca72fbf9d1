// Causal attention of single tokens over the paged cache of latents, where a row is the key of every head
// and its latent the value. A workgroup computes HEADS heads of the token row group.y, so that it reads a
// row once for all of them, and replaces their queries by what they saw: the first LATENT_STRIDE elements.
// Positions are taken in tiles of TILE, so the order of additions depends on the token's position alone.
#include "step.wgsl"
#include "token_row.wgsl"
@group(0) @binding(1) var<storage, read> token_rows: array<TokenRow>;
@group(0) @binding(2) var<storage, read> block_tables: array<u32>;    // [sequences, MAX_BLOCKS]
@group(0) @binding(3) var<storage, read> latents: array<u32>;         // [blocks, BLOCK_SIZE, WIDTH]
@group(0) @binding(4) var<storage, read_write> heads: array<vec4f>;   // [num_tokens, NUM_HEADS, WIDTH / 4]

const QUADS = WIDTH / 4u;              // vec4 in a row
const VALUE_QUADS = LATENT_STRIDE / 4u;   // of them in its latent
const OWNED = (HEADS * VALUE_QUADS + TILE - 1u) / TILE;  // output vec4 of each thread

var<workgroup> q: array<vec4f, HEADS * QUADS>;
var<workgroup> weights: array<f32, HEADS * TILE>;  // scores, then exp(score - max)
var<workgroup> rows: array<u32, TILE>;             // cache row of each position of the tile
var<workgroup> max_score: array<f32, HEADS>;
var<workgroup> sum: array<f32, HEADS>;
var<workgroup> rescale: array<f32, HEADS>;

// Four consecutive elements; `at` is a multiple of 4. KV_F16 keeps two f16 in a word.
fn load4(at: u32) -> vec4f {
#if KV_F16
  return vec4f(unpack2x16float(latents[at / 2u]), unpack2x16float(latents[at / 2u + 1u]));
#else
  return bitcast<vec4f>(vec4u(latents[at], latents[at + 1u], latents[at + 2u], latents[at + 3u]));
#endif
}

@compute @workgroup_size(TILE)
fn latent_attention(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let token = token_rows[group.y];
  let first_quad = (group.y * NUM_HEADS + group.x * HEADS) * QUADS;

  for (var i = local; i < HEADS * QUADS; i += TILE) { q[i] = heads[first_quad + i] * SCALE; }
  if (local < HEADS) {
    max_score[local] = -3.4e38;
    sum[local] = 0.0;
  }
  var owned = array<vec4f, OWNED>();

  for (var tile = 0u; tile <= token.position; tile += TILE) {
    workgroupBarrier();
    let key = tile + local;
    var scores = array<f32, HEADS>();
    if (key <= token.position) {
      let block = block_tables[token.sequence * MAX_BLOCKS + key / BLOCK_SIZE];
      let row = (block * BLOCK_SIZE + key % BLOCK_SIZE) * WIDTH;
      rows[local] = row;
      for (var d = 0u; d < QUADS; d++) {
        let k = load4(row + d * 4u);
        for (var h = 0u; h < HEADS; h++) { scores[h] += dot(q[h * QUADS + d], k); }
      }
      for (var h = 0u; h < HEADS; h++) { weights[h * TILE + local] = scores[h]; }
    }
    workgroupBarrier();

    let last = min(TILE - 1u, token.position - tile);
    if (local < HEADS) {
      let old_max = max_score[local];
      var new_max = old_max;
      for (var j = 0u; j <= last; j++) { new_max = max(new_max, weights[local * TILE + j]); }
      max_score[local] = new_max;
      rescale[local] = exp(old_max - new_max);
    }
    workgroupBarrier();

    for (var h = 0u; h < HEADS; h++) { weights[h * TILE + local] = exp(scores[h] - max_score[h]); }
    workgroupBarrier();

    if (local < HEADS) {
      var total = sum[local] * rescale[local];
      for (var j = 0u; j <= last; j++) { total += weights[local * TILE + j]; }
      sum[local] = total;
    }
    for (var n = 0u; n < OWNED; n++) {
      let i = n * TILE + local;
      if (i < HEADS * VALUE_QUADS) {
        let h = i / VALUE_QUADS;
        var value = owned[n] * rescale[h];
        for (var j = 0u; j <= last; j++) {
          value += weights[h * TILE + j] * load4(rows[j] + i % VALUE_QUADS * 4u);
        }
        owned[n] = value;
      }
    }
  }
  workgroupBarrier();

  for (var n = 0u; n < OWNED; n++) {
    let i = n * TILE + local;
    if (i < HEADS * VALUE_QUADS) {
      let h = i / VALUE_QUADS;
      heads[first_quad + h * QUADS + i % VALUE_QUADS] = owned[n] / sum[h];
    }
  }
}
