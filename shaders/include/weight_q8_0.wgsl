// Q8_0: blocks of 32, w = d q. Planes: int8, 4 a word in element order; d as f16, two a word.
fn load_weight8(row: u32, unit: u32) -> Vec8 {
  let at = row * (COLS / 4u) + unit * 2u;
  let block = row * (COLS / 32u) + unit / 4u;
  let d = unpack2x16float(weights[PLANE_1 + block / 2u])[block % 2u];
  return Vec8(vec4f(unpack4xI8(weights[at])) * d, vec4f(unpack4xI8(weights[at + 1u])) * d);
}
