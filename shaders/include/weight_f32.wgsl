// F32: one word an element.
fn load_weight8(row: u32, unit: u32) -> Vec8 {
  var v = array<f32, 8>();
  let k = unit * 8u;
  for (var i = 0u; i < 8u; i++) {
#if COLS_TAIL
    v[i] = select(0.0, bitcast<f32>(weights[row * COLS + min(k + i, COLS - 1u)]), k + i < COLS);
#else
    v[i] = bitcast<f32>(weights[row * COLS + k + i]);
#endif
  }
  return Vec8(vec4f(v[0], v[1], v[2], v[3]), vec4f(v[4], v[5], v[6], v[7]));
}
