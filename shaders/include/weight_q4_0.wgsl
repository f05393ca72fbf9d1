// Q4_0: blocks of 32, w = d (q - 8). Planes: nibbles, 8 a word in element order; d as f16, two a word.
#include "nibbles.wgsl"

fn load_weight8(row: u32, unit: u32) -> Vec8 {
  let q = nibbles(weights[row * (COLS / 8u) + unit]);
  let block = row * (COLS / 32u) + unit / 4u;
  let d = unpack2x16float(weights[PLANE_1 + block / 2u])[block % 2u];
  return Vec8((q.lo - 8.0) * d, (q.hi - 8.0) * d);
}
