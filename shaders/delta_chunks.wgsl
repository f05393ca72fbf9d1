// The gated delta rule over runs of tokens, CHUNK at a time; delta_solve.wgsl says why this is the recurrence:
//   c = solve (v - start * K S); out = start * Q S + mix c; S = start[last] S + K^T (end * c).
// A workgroup keeps COLUMNS columns of one value head's state for one slice in registers, ROW_QUADS times four elements
// to a thread. Slices shorter than CHUNK are left to delta_rule. A slice at position 0 starts from zeros.
#include "step.wgsl"
@group(0) @binding(1) var<storage, read> slices: array<vec4u>;        // first row, rows, position of first, slot
#if KEY_TAIL
@group(0) @binding(2) var<storage, read> mixed: array<f32>;           // [num_tokens, STRIDE]: queries, keys, values
#else
@group(0) @binding(2) var<storage, read> mixed: array<vec4f>;
#endif
// [num_tokens, NUM_VALUE_HEADS, RECORD]: of row i of a chunk solve[i][..], mix[i][..], start[i], end[i].
@group(0) @binding(3) var<storage, read> solutions: array<f32>;
@group(0) @binding(4) var<storage, read_write> states: array<f32>;    // [slots, NUM_VALUE_HEADS, KEY_DIM, VALUE_DIM]
@group(0) @binding(5) var<storage, read_write> out: array<f32>;       // [num_tokens, NUM_VALUE_HEADS, VALUE_DIM]
#include "load_mixed.wgsl"

const THREADS = COLUMNS * PARTS;
const TILES = (VALUE_DIM + COLUMNS - 1u) / COLUMNS;
const KEY_SIZE = NUM_KEY_HEADS * KEY_DIM;
const HEADS_PER_KEY = NUM_VALUE_HEADS / NUM_KEY_HEADS;
const RECORD = 2u * CHUNK + 2u;
// Elements of a [CHUNK, COLUMNS] matrix that a thread adds up.
const OWNED = CHUNK * COLUMNS / THREADS;

var<workgroup> records: array<f32, CHUNK * RECORD>;
var<workgroup> shares: array<vec2f, CHUNK * THREADS>;  // each thread's part of S^T k, S^T q
var<workgroup> rests: array<f32, CHUNK * COLUMNS>;     // v - start * K S
var<workgroup> changes: array<f32, CHUNK * COLUMNS>;

fn load_value(at: u32) -> f32 {
#if KEY_TAIL
  return mixed[at];
#else
  return mixed[at / 4u][at % 4u];
#endif
}

@compute @workgroup_size(THREADS)
fn delta_chunks(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let slice = slices[group.y];
  if (slice.y < CHUNK) { return; }
  let head = group.x / TILES;
  let first_column = group.x % TILES * COLUMNS;
  let lane = local % COLUMNS;
  let column = first_column + lane;
  let part = local / COLUMNS;
  let state = (slice.w * NUM_VALUE_HEADS + head) * KEY_DIM * VALUE_DIM + column;

  // Quads of rows, PARTS apart, so that neighbours read neighbours.
  var owned = array<vec4f, ROW_QUADS>();
  if (slice.z > 0u && column < VALUE_DIM) {
    for (var n = 0u; n < ROW_QUADS; n++) {
      for (var c = 0u; c < 4u; c++) {
        let i = (n * PARTS + part) * 4u + c;
        if (i < KEY_DIM) { owned[n][c] = states[state + i * VALUE_DIM]; }
      }
    }
  }
  for (var done = 0u; done < slice.y; done += CHUNK) {
    let first_row = slice.x + done;
    let rows = min(CHUNK, slice.y - done);
    let query = first_row * STRIDE + head / HEADS_PER_KEY * KEY_DIM;
    let key = query + KEY_SIZE;
    let value = first_row * STRIDE + 2u * KEY_SIZE + head * VALUE_DIM + first_column;

    for (var i = local; i < rows * RECORD; i += THREADS) {
      records[i] = solutions[((first_row + i / RECORD) * NUM_VALUE_HEADS + head) * RECORD + i % RECORD];
    }
    for (var i = 0u; i < rows; i++) {
      var share = vec2f();
      for (var n = 0u; n < ROW_QUADS; n++) {
        let e = (n * PARTS + part) * 4u;
#if ROWS_TAIL
        if (e >= KEY_DIM) { break; }
#endif
        let k = load_mixed4(key + i * STRIDE, e);
        let q = load_mixed4(query + i * STRIDE, e);
        share += vec2f(dot(owned[n], k), dot(owned[n], q));
      }
      shares[i * THREADS + local] = share;
    }
    workgroupBarrier();

    var results = array<f32, OWNED>();
    for (var n = 0u; n < OWNED; n++) {
      let at = n * THREADS + local;
      let i = at / COLUMNS;
      if (i >= rows) { break; }
      var seen = vec2f();
      for (var p = 0u; p < PARTS; p++) { seen += shares[i * THREADS + p * COLUMNS + lane]; }
      let start = records[i * RECORD + 2u * CHUNK];
      results[n] = start * seen.y;
      var rest = -start * seen.x;
      if (column < VALUE_DIM) { rest += load_value(value + i * STRIDE + lane); }
      rests[at] = rest;
    }
    workgroupBarrier();

    for (var n = 0u; n < OWNED; n++) {
      let at = n * THREADS + local;
      let i = at / COLUMNS;
      if (i >= rows) { break; }
      var change = 0.0;
      for (var j = 0u; j <= i; j++) { change += records[i * RECORD + j] * rests[j * COLUMNS + lane]; }
      changes[at] = change;
    }
    workgroupBarrier();

    for (var n = 0u; n < OWNED; n++) {
      let i = (n * THREADS + local) / COLUMNS;
      if (i >= rows) { break; }
      var result = results[n];
      for (var j = 0u; j <= i; j++) {
        result += records[i * RECORD + CHUNK + j] * changes[j * COLUMNS + lane];
      }
      if (column < VALUE_DIM) {
        out[((first_row + i) * NUM_VALUE_HEADS + head) * VALUE_DIM + column] = result;
      }
    }
    let decay = records[(rows - 1u) * RECORD + 2u * CHUNK];
    for (var n = 0u; n < ROW_QUADS; n++) { owned[n] *= decay; }
    for (var i = 0u; i < rows; i++) {
      let change = records[i * RECORD + 2u * CHUNK + 1u] * changes[i * COLUMNS + lane];
      for (var n = 0u; n < ROW_QUADS; n++) {
        let e = (n * PARTS + part) * 4u;
#if ROWS_TAIL
        if (e >= KEY_DIM) { break; }
#endif
        owned[n] += load_mixed4(key + i * STRIDE, e) * change;
      }
    }
    workgroupBarrier();
  }
  if (column >= VALUE_DIM) { return; }
  for (var n = 0u; n < ROW_QUADS; n++) {
    for (var c = 0u; c < 4u; c++) {
      let i = (n * PARTS + part) * 4u + c;
      if (i < KEY_DIM) { states[state + i * VALUE_DIM] = owned[n][c]; }
    }
  }
}
