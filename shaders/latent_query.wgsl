// What each query head asks of the rows of the latent cache: its plain part times the head's key rows of
// kv_b, then its rotated part, each with zeros up to whole vec4: [num_tokens, NUM_HEADS, WIDTH]. The rows of a head are shared
// among SLICES groups of threads and their sums joined in a fixed order, whatever the number of tokens.
#include "step.wgsl"
#include "token_row.wgsl"
#include "vec8.wgsl"
@group(0) @binding(1) var<storage, read> token_rows: array<TokenRow>;
@group(0) @binding(2) var<storage, read> weights: array<u32>;   // rows START_ROW... of [NUM_HEADS, NOPE_DIM + VALUE_DIM, COLS]
@group(0) @binding(3) var<storage, read> angles: array<vec2f>;  // (cos, sin) [positions, ROPE_DIM / 2]
@group(0) @binding(4) var<storage, read> q: array<f32>;         // [num_tokens, NUM_HEADS, NOPE_DIM + ROPE_DIM]
@group(0) @binding(5) var<storage, read_write> latent_q: array<f32>;
#include "weight_${WEIGHT_FORMAT}.wgsl"
#include "rope_element.wgsl"

const UNITS = (COLS + 7u) / 8u;
const UNIT_GROUPS = (UNITS + UNIT_THREADS - 1u) / UNIT_THREADS;  // workgroups for the columns of a head
const Q_DIM = NOPE_DIM + ROPE_DIM;

#if SLICES != 1
var<workgroup> partial: array<Vec8, UNIT_THREADS * SLICES>;
#endif

@compute @workgroup_size(UNIT_THREADS * SLICES)
fn latent_query(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let head = group.x / UNIT_GROUPS;
  let unit = group.x % UNIT_GROUPS * UNIT_THREADS + local % UNIT_THREADS;
  let slice = local / UNIT_THREADS;
  let first_token = group.y * TOKENS;
  let last_token = step.num_tokens - 1u;
  let head_row = head * (NOPE_DIM + VALUE_DIM);

  var sums = array<Vec8, TOKENS>();
  let end_row = min(head_row + NOPE_DIM, START_ROW + ROWS);
  for (var row = max(head_row, START_ROW) + slice; row < end_row; row += SLICES) {
    let w = load_weight8(row - START_ROW, min(unit, UNITS - 1u));
    for (var t = 0u; t < TOKENS; t++) {
      let token = min(first_token + t, last_token);
      let value = q[(token * NUM_HEADS + head) * Q_DIM + row - head_row];
      sums[t].lo += value * w.lo;
      sums[t].hi += value * w.hi;
    }
  }

  for (var t = 0u; t < TOKENS; t++) {
#if SLICES != 1
    workgroupBarrier();
    partial[local] = sums[t];
    workgroupBarrier();
    for (var other = 1u; other < SLICES; other++) {
      let sum = partial[other * UNIT_THREADS + local % UNIT_THREADS];
      sums[t].lo += sum.lo;
      sums[t].hi += sum.hi;
    }
#endif
    let token = first_token + t;
    let at = (token * NUM_HEADS + head) * WIDTH;
    if (slice == 0u && token <= last_token) {
      for (var i = 0u; i < 8u; i++) {
        let column = unit * 8u + i;
        // Weights beyond COLS are zero.
        if (column < LATENT_STRIDE) {
          let value = select(sums[t].hi[i % 4u], sums[t].lo[i % 4u], i < 4u);
#if ACCUMULATE
          latent_q[at + column] += value;
#else
          latent_q[at + column] = value;
#endif
        }
      }
    }
#if !ACCUMULATE
    if (token <= last_token) {
      let rotated = (token * NUM_HEADS + head) * Q_DIM + NOPE_DIM;
      let position = token_rows[token].position;
      for (var i = group.x % UNIT_GROUPS * UNIT_THREADS * SLICES + local; i < WIDTH - LATENT_STRIDE; i += UNIT_GROUPS * UNIT_THREADS * SLICES) {
        var turned = 0.0;
        if (i < ROPE_DIM) { turned = rope_element(position, i, q[rotated + i], q[rotated + rope_partner(i)]); }
        latent_q[at + LATENT_STRIDE + i] = turned;
      }
    }
#endif
  }
}
