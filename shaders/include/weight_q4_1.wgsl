// Q4_1: blocks of 32, w = d q + m. Planes: nibbles, 8 a word in element order; (d, m) as f16 in a word.
#include "nibbles.wgsl"

fn load_weight8(row: u32, unit: u32) -> Vec8 {
  let q = nibbles(weights[row * (COLS / 8u) + unit]);
  let scale = unpack2x16float(weights[PLANE_1 + row * (COLS / 32u) + unit / 4u]);
  return Vec8(q.lo * scale.x + scale.y, q.hi * scale.x + scale.y);
}
