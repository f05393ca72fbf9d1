// Q4_K: superblocks of 256 in 8 blocks of 32, w = d sc q - dmin mn. Planes: nibbles, 8 a word in element
// order; per superblock 4 words: (d, dmin) as f16, then 12 bytes that hold 8 scales and 8 mins of 6 bits.
#include "nibbles.wgsl"

fn load_weight8(row: u32, unit: u32) -> Vec8 {
  let q = nibbles(weights[row * (COLS / 8u) + unit]);
  let superblock = PLANE_1 + (row * (COLS / 256u) + unit / 32u) * 4u;
  let j = (unit / 4u) % 8u;
  // Bytes 0-3 hold scales 0-3, 4-7 mins 0-3 (6 bits each); 8-11 the low nibbles of scales and mins 4-7,
  // whose upper two bits sit above the first eight.
  let shift = (j % 4u) * 8u;
  let scale_byte = (weights[superblock + 1u] >> shift) & 255u;
  let min_byte = (weights[superblock + 2u] >> shift) & 255u;
  let low_byte = (weights[superblock + 3u] >> shift) & 255u;
  let is_low = j < 4u;
  let sc = select((low_byte & 15u) | ((scale_byte >> 6u) << 4u), scale_byte & 63u, is_low);
  let mn = select((low_byte >> 4u) | ((min_byte >> 6u) << 4u), min_byte & 63u, is_low);
  let d = unpack2x16float(weights[superblock]);
  let scale = d.x * f32(sc);
  let bias = d.y * f32(mn);
  return Vec8(q.lo * scale - bias, q.hi * scale - bias);
}
