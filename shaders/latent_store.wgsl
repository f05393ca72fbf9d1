// Appends each token's row to the paged cache of latents: the latent after its RMS norm, then the part of
// the key that all heads share, turned by the token's position. A thread writes two elements at a time.
#include "step.wgsl"
#include "token_row.wgsl"
#include "workgroup_sum.wgsl"
@group(0) @binding(1) var<storage, read> token_rows: array<TokenRow>;
@group(0) @binding(2) var<storage, read> norm_weight: array<f32>;      // [LATENT_DIM]
@group(0) @binding(3) var<storage, read> angles: array<vec2f>;         // (cos, sin) [positions, ROPE_DIM / 2]
@group(0) @binding(4) var<storage, read> projected: array<f32>;        // [num_tokens, LATENT_DIM + ROPE_DIM]: latent, key
@group(0) @binding(5) var<storage, read_write> latents: array<u32>;    // [blocks, BLOCK_SIZE, WIDTH]
#include "rope_element.wgsl"

// Element i of a row of the cache, from the row of `projected` that begins at `start`; zero behind latent and key.
fn element(start: u32, i: u32, scale: f32, position: u32) -> f32 {
  if (i < LATENT_DIM) { return projected[start + i] * scale * norm_weight[i]; }
  if (i < LATENT_STRIDE || i >= LATENT_STRIDE + ROPE_DIM) { return 0.0; }
  let turned = i - LATENT_STRIDE;
  let key = start + LATENT_DIM;
  return rope_element(position, turned, projected[key + turned], projected[key + rope_partner(turned)]);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn latent_store(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let token = token_rows[group.y];
  let start = group.y * (LATENT_DIM + ROPE_DIM);
  var squares = 0.0;
  for (var i = local; i < LATENT_DIM; i += WORKGROUP_SIZE) {
    squares += projected[start + i] * projected[start + i];
  }
  let scale = inverseSqrt(workgroup_sum(squares, local) / f32(LATENT_DIM) + EPS);
  let to = token.slot * WIDTH;
  for (var i = local * 2u; i < WIDTH; i += WORKGROUP_SIZE * 2u) {
    let pair = vec2f(
      element(start, i, scale, token.position),
      element(start, i + 1u, scale, token.position),
    );
#if KV_F16
    latents[(to + i) / 2u] = pack2x16float(pair);
#else
    latents[to + i] = bitcast<u32>(pair.x);
    latents[to + i + 1u] = bitcast<u32>(pair.y);
#endif
  }
}
