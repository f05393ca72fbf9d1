// Q6_K: superblocks of 256 in 16 blocks of 16, w = d sc (q - 32). Planes: low nibbles, 8 a word; high two
// bits, 16 a word; int8 scales, 4 a word; d as f16, two a word. All in element order.
#include "nibbles.wgsl"

fn load_weight8(row: u32, unit: u32) -> Vec8 {
  let index = row * (COLS / 8u) + unit;
  let low = nibbles(weights[index]);
  let bits = weights[PLANE_1 + index / 2u] >> ((index % 2u) * 16u);
  let high_lo = (vec4u(bits) >> vec4u(0u, 2u, 4u, 6u)) & vec4u(3u);
  let high_hi = (vec4u(bits) >> vec4u(8u, 10u, 12u, 14u)) & vec4u(3u);
  let block = index / 2u;
  let sc = unpack4xI8(weights[PLANE_2 + block / 4u])[block % 4u];
  let superblock = index / 32u;
  let d = unpack2x16float(weights[PLANE_3 + superblock / 2u])[superblock % 2u] * f32(sc);
  return Vec8((low.lo + vec4f(high_lo * 16u) - 32.0) * d, (low.hi + vec4f(high_hi * 16u) - 32.0) * d);
}
