// The gated delta rule, token by token: S = decay * S; S += k (rate * (v - S^T k))^T; out = S^T q.
// A workgroup keeps COLUMNS columns of one value head's state for one slice in registers, ROWS elements to a thread.
// Sums run over the rows of a thread, then over the threads of a column, so that their order depends on nothing else:
// any cut of the prompt gives the same bits. A slice at position 0 starts from zeros; those of CHUNK rows and more are
// left to delta_chunks where it runs.
#include "step.wgsl"
@group(0) @binding(1) var<storage, read> slices: array<vec4u>;       // first row, rows, position of first, slot
@group(0) @binding(2) var<storage, read> mixed: array<f32>;          // [num_tokens, STRIDE]: queries, keys, values
@group(0) @binding(3) var<storage, read> gates: array<vec4f>;        // [num_tokens, NUM_VALUE_HEADS]: decay, rate, k * q
@group(0) @binding(4) var<storage, read_write> states: array<f32>;   // [slots, NUM_VALUE_HEADS, KEY_DIM, VALUE_DIM]
@group(0) @binding(5) var<storage, read_write> out: array<f32>;      // [num_tokens, NUM_VALUE_HEADS, VALUE_DIM]

const THREADS = COLUMNS * PARTS;
const TILES = (VALUE_DIM + COLUMNS - 1u) / COLUMNS;
const KEY_SIZE = NUM_KEY_HEADS * KEY_DIM;
const HEADS_PER_KEY = NUM_VALUE_HEADS / NUM_KEY_HEADS;

// Each thread's share of S^T k and S^T q, of this token and the one before.
var<workgroup> shares: array<vec2f, 2u * THREADS>;

@compute @workgroup_size(THREADS)
fn delta_rule(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let slice = slices[group.y];
#if ONLY_SHORT
  if (slice.y >= CHUNK) { return; }
#endif
  let head = group.x / TILES;
  let lane = local % COLUMNS;
  let column = group.x % TILES * COLUMNS + lane;
  let is_inside = column < VALUE_DIM;
  let first = local / COLUMNS * ROWS;
  let state = ((slice.w * NUM_VALUE_HEADS + head) * KEY_DIM + first) * VALUE_DIM + column;

  var owned = array<f32, ROWS>();
  if (slice.z > 0u && is_inside) {
    for (var i = 0u; i < ROWS; i++) {
#if ROWS_TAIL
      if (first + i >= KEY_DIM) { break; }
#endif
      owned[i] = states[state + i * VALUE_DIM];
    }
  }
  for (var t = 0u; t < slice.y; t++) {
    let row = slice.x + t;
    let query = row * STRIDE + head / HEADS_PER_KEY * KEY_DIM + first;
    var keys = array<f32, ROWS>();
    var share = vec2f();
    for (var i = 0u; i < ROWS; i++) {
#if ROWS_TAIL
      if (first + i >= KEY_DIM) { break; }
#endif
      keys[i] = mixed[query + KEY_SIZE + i];
      share += owned[i] * vec2f(keys[i], mixed[query + i]);
    }
    let buffer = t % 2u * THREADS;
    shares[buffer + local] = share;
    workgroupBarrier();
    var seen = vec2f();
    for (var part = 0u; part < PARTS; part++) { seen += shares[buffer + part * COLUMNS + lane]; }
    let gate = gates[row * NUM_VALUE_HEADS + head];
    var value = 0.0;
    if (is_inside) { value = mixed[row * STRIDE + 2u * KEY_SIZE + head * VALUE_DIM + column]; }
    let change = gate.y * (value - gate.x * seen.x);
    for (var i = 0u; i < ROWS; i++) { owned[i] = gate.x * owned[i] + keys[i] * change; }
    if (local < COLUMNS && is_inside) {
      out[(row * NUM_VALUE_HEADS + head) * VALUE_DIM + column] = gate.x * seen.y + gate.z * change;
    }
  }
  if (is_inside) {
    for (var i = 0u; i < ROWS; i++) {
#if ROWS_TAIL
      if (first + i >= KEY_DIM) { break; }
#endif
      states[state + i * VALUE_DIM] = owned[i];
    }
  }
}
