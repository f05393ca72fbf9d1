// The part of the chunked delta rule that needs no state: every chunk of up to CHUNK tokens by itself.
// Token by token, S[i] = decay[i] S[i-1] + k[i] c[i]^T, where c[i] = rate[i] (v[i] - decay[i] S[i-1]^T k[i]) is the
// change that token i makes. Let start[i] be the product of the decays up to i, D[i][j] that of tokens j + 1..i, and S
// the state before the chunk. Written out, the changes of a chunk solve
//   c[i] = rate[i] (v[i] - start[i] S^T k[i] - sum over j < i of D[i][j] (k[i] . k[j]) c[j]),
// so c = solve (v - start * K S) with solve = (I + tril(rate[i] D[i][j] (k[i] . k[j]), -1))^-1 diag(rate), the WY form
// of arXiv 2412.06464, by forward substitution; and the outputs are start * Q S + mix c, mix[i][j] = D[i][j] (q[i] . k[j]).
// The decays of each pair are multiplied out, never divided: one that underflows is a zero, and harms no other.
#include "step.wgsl"
@group(0) @binding(1) var<storage, read> chunks: array<vec2u>;            // first row, rows
#if KEY_TAIL
@group(0) @binding(2) var<storage, read> mixed: array<f32>;               // [num_tokens, STRIDE]: queries, keys, values
#else
@group(0) @binding(2) var<storage, read> mixed: array<vec4f>;
#endif
@group(0) @binding(3) var<storage, read> gates: array<vec4f>;             // [num_tokens, NUM_VALUE_HEADS]: decay, rate
// [num_tokens, NUM_VALUE_HEADS, RECORD]: of row i of a chunk solve[i][..], mix[i][..], start[i], D[last][i].
@group(0) @binding(4) var<storage, read_write> solutions: array<f32>;
#include "load_mixed.wgsl"

const KEY_SIZE = NUM_KEY_HEADS * KEY_DIM;
const HEADS_PER_KEY = NUM_VALUE_HEADS / NUM_KEY_HEADS;
const RECORD = 2u * CHUNK + 2u;
// Threads that share a row.
const SHARERS = 4u;
const OWNED = CHUNK / SHARERS;

var<workgroup> decays: array<f32, CHUNK>;
var<workgroup> overlaps: array<f32, CHUNK * CHUNK>;  // rate[i] D[i][j] (k[i] . k[j])
var<workgroup> inverse: array<f32, CHUNK * CHUNK>;

@compute @workgroup_size(CHUNK * SHARERS)
fn delta_solve(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let chunk = chunks[group.y];
  let head = group.x;
  let query = chunk.x * STRIDE + head / HEADS_PER_KEY * KEY_DIM;
  let key = query + KEY_SIZE;
  let record = (chunk.x * NUM_VALUE_HEADS + head) * RECORD;
  let row_size = NUM_VALUE_HEADS * RECORD;
  if (local < chunk.y) { decays[local] = gates[(chunk.x + local) * NUM_VALUE_HEADS + head].x; }
  workgroupBarrier();

  let i = local / SHARERS;
  if (i < chunk.y) {
    var products = array<vec2f, OWNED>();  // k[i] . k[j], q[i] . k[j]
    for (var e = 0u; e < KEY_DIM; e += 4u) {
      let k = load_mixed4(key + i * STRIDE, e);
      let q = load_mixed4(query + i * STRIDE, e);
      for (var n = 0u; n < OWNED; n++) {
        let j = n * SHARERS + local % SHARERS;
        if (j > i) { break; }
        let other = load_mixed4(key + j * STRIDE, e);
        products[n] += vec2f(dot(k, other), dot(q, other));
      }
    }
    let rate = gates[(chunk.x + i) * NUM_VALUE_HEADS + head].y;
    for (var n = 0u; n < OWNED; n++) {
      let j = n * SHARERS + local % SHARERS;
      if (j > i) { break; }
      var decay = 1.0;
      for (var m = j + 1u; m <= i; m++) { decay *= decays[m]; }
      overlaps[i * CHUNK + j] = rate * decay * products[n].x;
      solutions[record + i * row_size + CHUNK + j] = decay * products[n].y;
    }
  }
  workgroupBarrier();

  // A thread solves for a column, which it alone reads.
  let j = local;
  if (j >= chunk.y) { return; }
  let rate = gates[(chunk.x + j) * NUM_VALUE_HEADS + head].y;
  var start = decays[0];
  for (var m = 1u; m <= j; m++) { start *= decays[m]; }
  var end = 1.0;
  for (var row = j; row < chunk.y; row++) {
    var value = 1.0;
    if (row > j) {
      end *= decays[row];
      value = 0.0;
      for (var m = j; m < row; m++) { value -= overlaps[row * CHUNK + m] * inverse[m * CHUNK + j]; }
    }
    inverse[row * CHUNK + j] = value;
    solutions[record + row * row_size + j] = value * rate;
  }
  solutions[record + j * row_size + 2u * CHUNK] = start;
  solutions[record + j * row_size + 2u * CHUNK + 1u] = end;
}
