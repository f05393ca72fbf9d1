// What the delta rule takes: queries and keys as unit vectors, queries also scaled by SCALE, in place; and for each
// value head the decay exp(-exp(a_log) * softplus(a + dt_bias)), the rate sigmoid(b), and the product of its key and query.
#include "step.wgsl"
#include "workgroup_sum.wgsl"
@group(0) @binding(1) var<storage, read> rates: array<f32>;           // [num_tokens, NUM_KEY_HEADS, 2, HEADS_PER_KEY]: b, a
@group(0) @binding(2) var<storage, read> a_log: array<f32>;           // [NUM_KEY_HEADS * HEADS_PER_KEY]
@group(0) @binding(3) var<storage, read> dt_bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> mixed: array<f32>;     // [num_tokens, STRIDE]: queries, then keys
@group(0) @binding(5) var<storage, read_write> gates: array<vec4f>;   // [num_tokens, value heads]: decay, rate, k * q

// Below this, log(1 + x) would round the digits of x away.
const SMALL = 0.004;

fn softplus(x: f32) -> f32 {
  let e = exp(-abs(x));
  let series = e * (1.0 - e * (0.5 - e / 3.0));
  return max(x, 0.0) + select(log(1.0 + e), series, e < SMALL);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn delta_inputs(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let query = group.y * STRIDE + group.x * KEY_DIM;
  let key = query + NUM_KEY_HEADS * KEY_DIM;
  var query_squares = 0.0;
  var key_squares = 0.0;
  var products = 0.0;
  for (var i = local; i < KEY_DIM; i += WORKGROUP_SIZE) {
    let q = mixed[query + i];
    let k = mixed[key + i];
    query_squares += q * q;
    key_squares += k * k;
    products += q * k;
  }
  let query_scale = inverseSqrt(workgroup_sum(query_squares, local) + 1e-6) * SCALE;
  let key_scale = inverseSqrt(workgroup_sum(key_squares, local) + 1e-6);
  let product = workgroup_sum(products, local) * query_scale * key_scale;
  for (var i = local; i < KEY_DIM; i += WORKGROUP_SIZE) {
    mixed[query + i] *= query_scale;
    mixed[key + i] *= key_scale;
  }
  for (var i = local; i < HEADS_PER_KEY; i += WORKGROUP_SIZE) {
    let head = group.x * HEADS_PER_KEY + i;
    let at = (group.y * NUM_KEY_HEADS + group.x) * 2u * HEADS_PER_KEY + i;
    let decay = exp(-exp(a_log[head]) * softplus(rates[at + HEADS_PER_KEY] + dt_bias[head]));
    let rate = 1.0 / (1.0 + exp(-rates[at]));
    gates[group.y * NUM_KEY_HEADS * HEADS_PER_KEY + head] = vec4f(decay, rate, product, 0.0);
  }
}
